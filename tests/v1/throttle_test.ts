/** Logins are counted by all API processes together, over both transports of Redis. */
import assert from "node:assert/strict";
import { createLimiter, type Limit } from "../../redis/limiter.ts";
import { openRedis, type RedisDoor } from "../../redis/connect.ts";
import { createMetrics } from "../../metrics.ts";
import { silentLog } from "../../log.ts";
import { createSharedThrottle } from "../../routes/common/shared_throttle.ts";
import type { ThrottleLimits } from "../../routes/common/throttle.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { createDatabase } from "../support/database.ts";
import { addUsers, password } from "../support/people.ts";
import { startGateway } from "../support/upstash_gateway.ts";

const free = { burst: 1e6, perSecond: 1e6 };
/** Nothing comes back while a test runs. */
const never = 0.0001;
const secret = "0123456789abcdef0123456789abcdef";

const throttleOf = (door: RedisDoor, limits: ThrottleLimits, metrics = createMetrics()) =>
  createSharedThrottle({
    limiter: createLimiter(door.redis, "logins", secret),
    log: silentLog,
    metrics,
    limits,
  });

async function login(api: TestApi, username: string, given: string, from: string) {
  const response = await fetch(`${api.origin}/api/v1/auth/login`, {
    method: "POST",
    body: new URLSearchParams({ username, password: given }),
    headers: { "x-forwarded-for": from, origin: "http://localhost:3000" },
  });
  const text = await response.text();
  return { status: response.status, text, headers: response.headers };
}

/** The same over either transport. */
const transports = ["tcp", "rest"] as const;
async function openTransport(kind: (typeof transports)[number]) {
  const own = new AsyncDisposableStack();
  const server = own.use(await startRedis());
  const gateway = own.use(await startGateway(server.url));
  const place = kind === "tcp" ? { url: server.url } : { restUrl: gateway.url, restToken: gateway.token };
  const open = () => own.use(openRedis({ ...place, timeoutMs: 1000 }));
  const plain = own.use(openRedis({ url: server.url }));
  return { open, plain, gateway, [Symbol.asyncDispose]: () => own.disposeAsync() };
}

for (const kind of transports) {
  Deno.test(`over ${kind}: two processes count together by address, by e-mail and overall`, async (t) => {
    await using transport = await openTransport(kind);
    const cases: [what: string, limits: ThrottleLimits, who: (i: number) => [string, string]][] = [
      [
        "address",
        { address: { burst: 7, perSecond: never }, email: free, overall: free },
        (i) => ["1.1.1.1", `a${i}@example.com`],
      ],
      [
        "e-mail in any case",
        { address: free, email: { burst: 7, perSecond: never }, overall: free },
        (i) => [`2.2.2.${i}`, i % 2 ? "b@example.com" : "B@EXAMPLE.COM"],
      ],
      [
        "overall",
        { address: free, email: free, overall: { burst: 7, perSecond: never } },
        (i) => [`3.3.3.${i}`, `c${i}@example.com`],
      ],
    ];
    for (const [what, limits, who] of cases) {
      await t.step(what, async () => {
        const throttles = [throttleOf(transport.open(), limits), throttleOf(transport.open(), limits)];
        const waits = await Promise.all(
          Array.from({ length: 20 }, (_, i) => throttles[i % 2]!.take(...who(i))),
        );
        assert.equal(waits.filter((seconds) => seconds === 0).length, 7, String(waits));
        assert.ok(waits.every((seconds) => seconds === 0 || seconds > 60), String(waits));
      });
    }
  });

  Deno.test(`over ${kind}: a right password gives its try back and lets in from there, in every process`, async () => {
    await using transport = await openTransport(kind);
    const limits = { address: free, email: { burst: 3, perSecond: never }, overall: free };
    const one = throttleOf(transport.open(), limits);
    const two = throttleOf(transport.open(), limits);
    assert.equal(await one.take("1.1.1.1", "u@example.com"), 0);
    await one.succeeded("1.1.1.1", "u@example.com");
    const guesses = [];
    for (let i = 0; i < 5; i++) guesses.push(await two.take(`9.9.9.${i}`, "u@example.com"));
    assert.deepEqual(guesses.map((seconds) => seconds === 0), [true, true, true, false, false]);
    assert.equal(
      await two.take("1.1.1.1", "U@example.com"),
      0,
      "who has signed in from there is not kept out",
    );
  });
}

Deno.test("a try that is refused is not counted, and guesses in a row come back ever more slowly, to an end", async () => {
  await using transport = await openTransport("tcp");
  const { redis } = transport.plain;
  const limiter = createLimiter(transport.open().redis, "test", secret);
  // A try comes back in 1,000 seconds; instead of waiting, the time at which all are back is put nearer.
  const limit: Limit = { name: "x", burst: 2, perSecond: 0.001, slowestMax: 4 };
  const stepMs = 1_000_000;
  const take = async () => (await limiter.take([limit], "nobody", 0)).seconds;
  const first = await take();
  const second = await take();
  assert.deepEqual([first, second], [0, 0]);
  const [key] = await redis.keys("*");
  const paces: number[] = [];
  for (let i = 0; i < 8; i++) {
    const before = await redis.hgetall(key!);
    const wait = await take();
    assert.ok(wait > 0 && wait <= 4 * stepMs / 1000, `never a lock-out: ${wait} s`);
    assert.deepEqual(await redis.hgetall(key!), before, "what is refused is not counted");
    const back = Date.now() + stepMs - 60_000;
    await redis.hset(key!, { t: back });
    assert.equal(await take(), 0);
    paces.push(Math.round((Number(await redis.hget(key!, "t")) - back) / stepMs));
  }
  assert.deepEqual(paces, [2, 2, 4, 4, 4, 4, 4, 4]);
});

Deno.test("Redis holds no e-mail and no address, and each key has an end", async () => {
  await using transport = await openTransport("tcp");
  const throttle = throttleOf(transport.open(), {
    address: { burst: 5, perSecond: 0.1 },
    email: { burst: 5, perSecond: 0.1 },
    overall: { burst: 5, perSecond: 0.1 },
  });
  assert.equal(await throttle.take("203.0.113.77", "somebody@example.com"), 0);
  assert.equal(await throttle.take("203.0.113.77", "somebody@example.com"), 0);
  await throttle.succeeded("203.0.113.77", "somebody@example.com");
  const keys = await transport.plain.redis.keys("*");
  assert.equal(keys.length, 4);
  for (const key of keys) {
    assert.match(key, /^contactsheet:\{logins\}:[0-9a-f]{32}$/);
    assert.ok(await transport.plain.redis.pttl(key) > 0, key);
  }
});

Deno.test("a flood costs Redis nearly nothing", async () => {
  await using transport = await openTransport("rest");
  const limits = {
    address: { burst: 5, perSecond: never },
    email: { burst: 5, perSecond: never },
    overall: free,
  };
  const throttle = throttleOf(transport.open(), limits);
  for (let i = 0; i < 500; i++) await throttle.take("1.1.1.1", `a${i}@example.com`);
  assert.equal(transport.gateway.commands, 5, "one address: its burst");
  for (let i = 0; i < 500; i++) await throttle.take(`2.2.2.${i % 10}`, "b@example.com");
  assert.equal(
    transport.gateway.commands,
    5 + 5 + 10,
    "one e-mail from ten addresses: its burst, then each is told once",
  );
  await Promise.all(
    Array.from({ length: 5000 }, (_, i) => throttle.take(`3.3.${i >> 8}.${i & 255}`, `c${i}`)),
  );
  assert.ok(transport.gateway.commands < 1500, `${transport.gateway.commands} commands for 5,000 addresses`);
});

Deno.test("without Redis logins are put off with 503, everything else works, and it heals by itself", async () => {
  const port = findFreePort();
  await using door = openRedis({ url: `redis://127.0.0.1:${port}`, timeoutMs: 500 });
  await using database = await createDatabase();
  const metrics = createMetrics();
  const limits = { address: free, email: free, overall: free };
  await using api = await startApi({ database, throttle: throttleOf(door, limits, metrics) });
  const { user } = await addUsers(api);
  const put = await login(api, user.email, password, "1.1.1.1");
  assert.deepEqual([put.status, put.text], [503, '{"detail":"Service Unavailable"}']);
  assert.equal(put.headers.get("retry-after"), "1");
  assert.equal(put.headers.get("access-control-allow-origin"), "*");
  assert.equal((await metrics.limiterFailCloses.get()).values[0]?.value, 1);
  const me = await fetch(`${api.origin}/api/v1/users/me`, {
    headers: { authorization: `Bearer ${user.token}` },
  });
  assert.equal(me.status, 200);
  await me.body?.cancel();
  await using _server = await startRedis({ port });
  const until = performance.now() + 30_000;
  while ((await login(api, user.email, password, "1.1.1.1")).status !== 200) {
    assert.ok(performance.now() < until, "logins work again");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
});

Deno.test("429 of the shared throttle has Retry-After and CORS headers", async () => {
  await using transport = await openTransport("rest");
  const limits = { address: free, email: { burst: 2, perSecond: never }, overall: free };
  await using api = await startApi({
    throttle: throttleOf(transport.open(), limits),
    env: { TRUSTED_PROXIES: "1" },
  });
  const statuses = [];
  for (let i = 0; i < 4; i++) {
    const got = await login(api, "nobody@example.com", "guess", `1.1.1.${i}`);
    statuses.push(got.status);
    if (got.status !== 429) continue;
    assert.ok(Number(got.headers.get("retry-after")) >= 1);
    assert.equal(got.headers.get("access-control-allow-origin"), "*");
  }
  assert.deepEqual(statuses, [401, 401, 429, 429]);
});
