/** The login throttle that all API processes share, over both transports of Redis. */
import assert from "node:assert/strict";
import { createLimiter, type Limit } from "../../redis/limiter.ts";
import { openRedis, type RedisConnection } from "../../redis/connect.ts";
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
import { waitFor } from "../support/wait.ts";

const unlimited = { burst: 1e6, perSecond: 1e6 };
/** A refill rate so low that nothing is refilled during a test. */
const never = 0.0001;
const secret = "0123456789abcdef0123456789abcdef";

const throttleOf = (connection: RedisConnection, limits: ThrottleLimits, metrics = createMetrics()) =>
  createSharedThrottle({
    limiter: createLimiter(connection.redis, "logins", secret),
    log: silentLog,
    metrics,
    limits,
  });

async function login(api: TestApi, username: string, password: string, address: string) {
  const response = await fetch(`${api.origin}/api/v1/auth/login`, {
    method: "POST",
    body: new URLSearchParams({ username, password }),
    headers: { "x-forwarded-for": address, origin: "http://localhost:3000" },
  });
  const text = await response.text();
  return { status: response.status, text, headers: response.headers };
}

const transports = ["tcp", "rest"] as const;
async function openTransport(kind: (typeof transports)[number]) {
  const stack = new AsyncDisposableStack();
  const server = stack.use(await startRedis());
  const gateway = stack.use(await startGateway(server.url));
  const target = kind === "tcp" ? { url: server.url } : { restUrl: gateway.url, restToken: gateway.token };
  const open = () => stack.use(openRedis({ ...target, timeoutMs: 1000 }));
  const direct = stack.use(openRedis({ url: server.url }));
  return { open, direct, gateway, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

for (const kind of transports) {
  Deno.test(`over ${kind}: two processes share their counts by address, by e-mail and overall`, async (t) => {
    await using transport = await openTransport(kind);
    const cases: [what: string, limits: ThrottleLimits, attempt: (i: number) => [string, string]][] = [
      [
        "address",
        { address: { burst: 7, perSecond: never }, email: unlimited, overall: unlimited },
        (i) => ["1.1.1.1", `a${i}@example.com`],
      ],
      [
        "e-mail in any case",
        { address: unlimited, email: { burst: 7, perSecond: never }, overall: unlimited },
        (i) => [`2.2.2.${i}`, i % 2 ? "b@example.com" : "B@EXAMPLE.COM"],
      ],
      [
        "overall",
        { address: unlimited, email: unlimited, overall: { burst: 7, perSecond: never } },
        (i) => [`3.3.3.${i}`, `c${i}@example.com`],
      ],
    ];
    for (const [what, limits, attempt] of cases) {
      await t.step(what, async () => {
        const throttles = [throttleOf(transport.open(), limits), throttleOf(transport.open(), limits)];
        const waits = await Promise.all(
          Array.from({ length: 20 }, (_, i) => throttles[i % 2]!.acquire(...attempt(i))),
        );
        assert.equal(waits.filter((seconds) => seconds === 0).length, 7, String(waits));
        assert.ok(waits.every((seconds) => seconds === 0 || seconds > 60), String(waits));
      });
    }
  });

  Deno.test(`over ${kind}: a right password refunds its attempt and exempts its address in every process`, async () => {
    await using transport = await openTransport(kind);
    const limits = { address: unlimited, email: { burst: 3, perSecond: never }, overall: unlimited };
    const one = throttleOf(transport.open(), limits);
    const two = throttleOf(transport.open(), limits);
    assert.equal(await one.acquire("1.1.1.1", "u@example.com"), 0);
    await one.recordSuccess("1.1.1.1", "u@example.com");
    const guesses = [];
    for (let i = 0; i < 5; i++) guesses.push(await two.acquire(`9.9.9.${i}`, "u@example.com"));
    assert.deepEqual(guesses.map((seconds) => seconds === 0), [true, true, true, false, false]);
    assert.equal(
      await two.acquire("1.1.1.1", "U@example.com"),
      0,
      "an address that has signed in is blocked",
    );
  });
}

Deno.test("refused attempts are not counted, and repeated bursts slow the refill down to a limit", async () => {
  await using transport = await openTransport("tcp");
  const { redis } = transport.direct;
  const limiter = createLimiter(transport.open().redis, "test", secret);
  // An attempt is refilled in 1,000 seconds. The test moves the refill time in Redis instead of waiting.
  const limit: Limit = { name: "x", burst: 2, perSecond: 0.001, slowestMax: 4 };
  const stepMs = 1_000_000;
  const take = async () => (await limiter.acquire([limit], "nobody", 0)).seconds;
  const first = await take();
  const second = await take();
  assert.deepEqual([first, second], [0, 0]);
  const [key] = await redis.keys("*");
  const paces: number[] = [];
  for (let i = 0; i < 8; i++) {
    const before = await redis.hgetall(key!);
    const wait = await take();
    assert.ok(wait > 0 && wait <= 4 * stepMs / 1000, `a wait of ${wait} s exceeds the slowest refill`);
    assert.deepEqual(await redis.hgetall(key!), before, "a refused attempt was counted");
    const back = Date.now() + stepMs - 60_000;
    await redis.hset(key!, { t: back });
    assert.equal(await take(), 0);
    paces.push(Math.round((Number(await redis.hget(key!, "t")) - back) / stepMs));
  }
  assert.deepEqual(paces, [2, 2, 4, 4, 4, 4, 4, 4]);
});

Deno.test("Redis stores no e-mail and no address, and each key expires", async () => {
  await using transport = await openTransport("tcp");
  const throttle = throttleOf(transport.open(), {
    address: { burst: 5, perSecond: 0.1 },
    email: { burst: 5, perSecond: 0.1 },
    overall: { burst: 5, perSecond: 0.1 },
  });
  assert.equal(await throttle.acquire("203.0.113.77", "somebody@example.com"), 0);
  assert.equal(await throttle.acquire("203.0.113.77", "somebody@example.com"), 0);
  await throttle.recordSuccess("203.0.113.77", "somebody@example.com");
  const keys = await transport.direct.redis.keys("*");
  assert.equal(keys.length, 4);
  for (const key of keys) {
    assert.match(key, /^contactsheet:\{logins\}:[0-9a-f]{32}$/);
    assert.ok(await transport.direct.redis.pttl(key) > 0, key);
  }
});

Deno.test("a flood of attempts causes few Redis commands", async () => {
  await using transport = await openTransport("rest");
  const limits = {
    address: { burst: 5, perSecond: never },
    email: { burst: 5, perSecond: never },
    overall: unlimited,
  };
  const throttle = throttleOf(transport.open(), limits);
  for (let i = 0; i < 500; i++) await throttle.acquire("1.1.1.1", `a${i}@example.com`);
  assert.equal(transport.gateway.commands, 5, "one address costs its burst");
  for (let i = 0; i < 500; i++) await throttle.acquire(`2.2.2.${i % 10}`, "b@example.com");
  assert.equal(
    transport.gateway.commands,
    5 + 5 + 10,
    "one e-mail from ten addresses costs its burst, then one refusal for each address",
  );
  await Promise.all(
    Array.from({ length: 5000 }, (_, i) => throttle.acquire(`3.3.${i >> 8}.${i & 255}`, `c${i}`)),
  );
  assert.ok(transport.gateway.commands < 1500, `${transport.gateway.commands} commands for 5,000 addresses`);
});

Deno.test("without Redis logins get 503, other requests are served, and logins recover with Redis", async () => {
  const port = findFreePort();
  await using connection = openRedis({ url: `redis://127.0.0.1:${port}`, timeoutMs: 500 });
  await using database = await createDatabase();
  const metrics = createMetrics();
  const limits = { address: unlimited, email: unlimited, overall: unlimited };
  await using api = await startApi({ database, throttle: throttleOf(connection, limits, metrics) });
  const { user } = await addUsers(api);
  const refused = await login(api, user.email, password, "1.1.1.1");
  assert.deepEqual([refused.status, refused.text], [503, '{"detail":"Service Unavailable"}']);
  assert.equal(refused.headers.get("retry-after"), "1");
  assert.equal(refused.headers.get("access-control-allow-origin"), "*");
  assert.equal((await metrics.limiterFailCloses.get()).values[0]?.value, 1);
  const me = await fetch(`${api.origin}/api/v1/users/me`, {
    headers: { authorization: `Bearer ${user.token}` },
  });
  assert.equal(me.status, 200);
  await me.body?.cancel();
  await using _server = await startRedis({ port });
  const canLogin = async () => (await login(api, user.email, password, "1.1.1.1")).status === 200;
  await waitFor("a login after the start of Redis", canLogin);
});

Deno.test("a 429 of the shared throttle has Retry-After and CORS headers", async () => {
  await using transport = await openTransport("rest");
  const limits = { address: unlimited, email: { burst: 2, perSecond: never }, overall: unlimited };
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
