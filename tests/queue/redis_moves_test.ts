/** A failover of Redis: its address moves to another server, the old one stays up as a replica. */
import assert from "node:assert/strict";
import { startRedis } from "../../dev/servers/redis.ts";
import { silentLog } from "../../log.ts";
import { createMetrics } from "../../metrics.ts";
import { openRedis, type RedisConnection } from "../../redis/connect.ts";
import { createLimiter } from "../../redis/limiter.ts";
import { Streams } from "../../redis/stream.ts";
import { createSharedThrottle } from "../../routes/common/shared_throttle.ts";
import { type Forwarder, startForwarder } from "../support/forwarder.ts";
import { startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const portOf = (url: string): number => Number(new URL(url).port);

/** Makes the server at `url` a replica of `primary`, and waits until it refuses writes. */
async function demote(url: string, primary: number, settings: string[] = []): Promise<void> {
  await using direct = openRedis({ url });
  await direct.redis.exec(["CONFIG", "SET", "replica-serve-stale-data", "yes", ...settings]);
  await direct.redis.exec(["REPLICAOF", "127.0.0.1", String(primary)]);
}

interface Pair extends AsyncDisposable {
  address: Forwarder;
  connection: RedisConnection;
  /** The server that is the primary after `move`. */
  next: string;
  /** Demotes the old primary and moves the address. Open connections stay. */
  move(settings?: string[]): Promise<void>;
}

async function openPair(): Promise<Pair> {
  const stack = new AsyncDisposableStack();
  const old = stack.use(await startRedis());
  const next = stack.use(await startRedis());
  const address = stack.use(startForwarder(portOf(old.url)));
  const connection = stack.use(openRedis({ url: `redis://127.0.0.1:${address.port}`, timeoutMs: 2_000 }));
  return {
    address,
    connection,
    next: next.url,
    async move(settings) {
      await demote(old.url, portOf(next.url), settings);
      address.to = portOf(next.url);
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

const script = "redis.call('SET', KEYS[1], 'script') return redis.call('GET', KEYS[1])";
const calls: [string, (redis: RedisConnection["redis"]) => Promise<unknown>, unknown][] = [
  ["a command", (redis) => redis.set("k", "1"), "OK"],
  ["a script", (redis) => redis.eval(script, ["k"], []), "script"],
  ["a pipeline", (redis) => redis.pipeline().set("a", "1").set("b", "2").exec(), ["OK", "OK"]],
  ["a transaction", (redis) => redis.multi().set("a", "1").set("b", "2").exec(), ["OK", "OK"]],
];
for (const [what, call, answer] of calls) {
  Deno.test(`after a failover, ${what} on the old connection is answered by the new primary`, async () => {
    await using pair = await openPair();
    const { redis } = pair.connection;
    await redis.set("before", "1");
    await pair.move();
    assert.deepEqual(await call(redis), answer);
    assert.equal(pair.address.accepted, 2);
    await using direct = openRedis({ url: pair.next });
    assert.ok((await direct.redis.keys("*")).length > 0);
  });
}

Deno.test("requests under way at the failover are all answered, over one new connection", async () => {
  await using pair = await openPair();
  const { redis } = pair.connection;
  await redis.set("before", "1");
  await pair.move();
  const answers = await Promise.all(Array.from({ length: 50 }, (_, i) => redis.incrby("n", i)));
  assert.equal(answers.length, 50);
  assert.equal(Number(await redis.get("n")), 49 * 50 / 2);
  assert.equal(pair.address.accepted, 2);
});

Deno.test("MASTERDOWN moves reads to the new primary as well", async () => {
  await using pair = await openPair();
  const { redis } = pair.connection;
  await redis.set("before", "1");
  await using direct = openRedis({ url: pair.next });
  await direct.redis.set("k", "new");
  const nobody = 1;
  await using old = openRedis({ url: `redis://127.0.0.1:${pair.address.to}` });
  await old.redis.exec(["CONFIG", "SET", "replica-serve-stale-data", "no"]);
  await old.redis.exec(["REPLICAOF", "127.0.0.1", String(nobody)]);
  pair.address.to = portOf(pair.next);
  assert.equal(await redis.get("k"), "new");
});

Deno.test("a blocking read that a demotion ends continues at the new primary", async () => {
  await using pair = await openPair();
  const streams = new Streams(pair.connection, "test");
  await streams.markEpoch(["standard"], "m");
  const blockMs = 20_000;
  const own = streams.openBlocking(blockMs)!;
  const read = () =>
    streams.read("standard", { consumer: "a", count: 1, wait: { connection: own, blockMs } });
  const waiting = read();
  await waitFor("the blocking read", async () => {
    const clients = String(await pair.connection.redis.exec(["CLIENT", "LIST"]));
    return clients.includes("cmd=xreadgroup");
  });
  await pair.move();
  assert.equal(await waiting, "no_group");
  const ref = { task_id: crypto.randomUUID(), id: crypto.randomUUID() };
  await streams.add("standard", [ref]);
  const got = await read();
  assert.ok(got !== "no_group");
  assert.deepEqual(got[0]!.refs, [ref]);
  own.close();
});

const hidden: [cause: string, hide: string[]][] = [
  ["its user may not write", ["ACL", "SETUSER", "default", "-set"]],
  ["its user is locked", ["ACL", "SETUSER", "default", "reset", "on", ">other", "allcommands"]],
];
for (const [cause, hide] of hidden) {
  Deno.test(`an old primary is left within 5 s although another refusal hides its state: ${cause}`, async () => {
    await using pair = await openPair();
    const { redis } = pair.connection;
    await redis.set("before", "1");
    await using old = openRedis({ url: `redis://127.0.0.1:${pair.address.to}` });
    await old.redis.ping();
    await pair.move();
    await old.redis.exec(hide as [string, ...string[]]);
    await assert.rejects(async () => await redis.set("k", "1"), /NOPERM/);
    await waitFor("the new primary", () => redis.set("k", "1").then(() => true, () => false), 5_000);
    assert.equal(pair.address.accepted, 2);
  });
}

Deno.test("a server that stays read-only gets one retry, and its refusal is reported", async () => {
  await using old = await startRedis();
  await using address = startForwarder(portOf(old.url));
  await using connection = openRedis({ url: `redis://127.0.0.1:${address.port}` });
  await connection.redis.set("before", "1");
  await demote(old.url, 1);
  const before = address.accepted;
  await assert.rejects(async () => await connection.redis.set("k", "1"), /READONLY/);
  assert.equal(address.accepted - before, 1);
  await using direct = openRedis({ url: old.url });
  await direct.redis.exec(["REPLICAOF", "NO", "ONE"]);
  assert.equal(await connection.redis.set("k", "1"), "OK");
});

Deno.test("logins are counted at once after a failover", async () => {
  await using pair = await openPair();
  const limit = { burst: 100, perSecond: 1 };
  const metrics = createMetrics();
  const throttle = createSharedThrottle({
    limiter: createLimiter(pair.connection.redis, "logins", "0123456789abcdef0123456789abcdef"),
    log: silentLog,
    metrics,
    limits: { address: limit, email: limit, overall: limit },
  });
  assert.equal(await throttle.acquire("1.1.1.1", "u@example.com"), 0);
  await pair.move();
  for (let i = 0; i < 8; i++) assert.equal(await throttle.acquire(`1.1.1.${i}`, "u@example.com"), 0);
  assert.equal((await metrics.limiterFailCloses.get()).values[0]?.value ?? 0, 0);
});

Deno.test("workers use the new primary after a failover, and nothing is drawn twice", async () => {
  await using next = await startRedis();
  await using rig = await startRig({ delayMs: 20 });
  await using address = startForwarder(portOf(rig.redis.url));
  rig.redisAddress.url = `redis://127.0.0.1:${address.port}`;
  await rig.startWorker({ slots: 3 });
  await rig.startWorker({ slots: 3 });
  const first = await rig.submit(["a", "b", "c"]);
  await waitForEnd(rig.sql, first);
  await demote(rig.redis.url, portOf(next.url));
  address.to = portOf(next.url);
  const second = await rig.submit(["d", "e", "f"]);
  await waitForEnd(rig.sql, second);
  await using connection = openRedis({ url: next.url });
  const hasGroups = async () => {
    const keys = await connection.redis.keys("*stream*");
    const groups = await Promise.all(keys.map((key) => connection.redis.xinfo(key, { type: "GROUPS" })));
    return groups.length === 3 && groups.every((found) => (found as unknown[]).length === 1);
  };
  await waitFor("the streams of the new primary", hasGroups, 20_000);
  const third = await rig.submit(["g", "h", "i"]);
  await waitForEnd(rig.sql, third);
  assert.equal(rig.api.posts.length, 9);
});
