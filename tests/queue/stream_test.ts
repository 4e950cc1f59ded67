/** The queue's use of Redis over both transports. */
import assert from "node:assert/strict";
import type { SubtaskRef } from "../../db/queue/subtasks.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { AppError } from "../../errors.ts";
import { openRedis, type RedisConnection } from "../../redis/connect.ts";
import { Streams } from "../../redis/stream.ts";
import { waitFor } from "../support/wait.ts";
import { startGateway } from "../support/upstash_gateway.ts";

const makeRefs = (count: number): SubtaskRef[] =>
  Array.from({ length: count }, () => ({ task_id: crypto.randomUUID(), id: crypto.randomUUID() }));

async function withConnection(
  transport: "tcp" | "rest",
  work: (connection: RedisConnection, streams: Streams) => Promise<void>,
): Promise<void> {
  await using redis = await startRedis();
  await using gateway = await startGateway(redis.url);
  const address = transport === "tcp"
    ? { url: redis.url }
    : { restUrl: gateway.url, restToken: gateway.token };
  await using connection = openRedis(address);
  await work(connection, new Streams(connection, "test"));
}

const overBothTransports = (
  name: string,
  work: (connection: RedisConnection, streams: Streams) => Promise<void>,
) => {
  for (const transport of ["tcp", "rest"] as const) {
    Deno.test(`${name} (${transport})`, () => withConnection(transport, work));
  }
};

overBothTransports("get() returns strings unchanged", async (connection) => {
  for (const value of ["123", "01", "true", '{"a":1}', "猫\n\u0000", ""]) {
    await connection.redis.set("k", value);
    assert.equal(await connection.redis.get("k"), value);
  }
  assert.equal(await connection.redis.get("nothing"), null);
});

overBothTransports("one consumer reads an entry, and dropping removes it", async (_connection, streams) => {
  await streams.markEpoch(["standard"], "m");
  const refs = makeRefs(5);
  await streams.add("standard", refs);
  const a = await streams.read("standard", { consumer: "a", count: 3 });
  const b = await streams.read("standard", { consumer: "b", count: 9 });
  assert.ok(a !== "no_group" && b !== "no_group");
  assert.deepEqual([...a, ...b].flatMap((message) => message.refs), refs);
  assert.equal(a.length, 3);
  await streams.drop("standard", a.map(({ entry }) => entry));
  assert.equal((await streams.readState(["standard"])).lengths.get("standard"), 2);
  assert.deepEqual(await streams.read("standard", { consumer: "a", count: 9 }), []);
});

overBothTransports("an entry can hold several subtasks", async (_connection, streams) => {
  await streams.markEpoch(["lumina"], "m");
  const refs = makeRefs(7);
  await streams.add("lumina", refs, 3);
  assert.equal((await streams.readState(["lumina"])).lengths.get("lumina"), 3);
  const got = await streams.read("lumina", { consumer: "a", count: 10 });
  assert.ok(got !== "no_group");
  assert.deepEqual(got.flatMap((message) => message.refs), refs);
});

overBothTransports(
  "a wipe is detected, and a recreated group starts at the first entry",
  async (connection, streams) => {
    await streams.markEpoch(["standard", "high"], "m");
    assert.equal((await streams.readState(["standard"])).epoch, true);
    await connection.redis.flushall();
    assert.equal((await streams.readState(["standard"])).epoch, false);
    assert.equal(await streams.read("standard", { consumer: "a", count: 1 }), "no_group");
    const [ref] = makeRefs(1);
    await streams.add("standard", [ref!]);
    await connection.redis.xgroup(streams.key("standard"), { type: "DESTROY", group: "workers" });
    assert.equal(await streams.read("standard", { consumer: "a", count: 1 }), "no_group");
    const got = await streams.read("standard", { consumer: "a", count: 1 });
    assert.ok(got !== "no_group");
    assert.deepEqual(got[0]!.refs, [ref]);
  },
);

overBothTransports(
  "takeOver() returns entries that a consumer read and never claimed, page by page",
  async (_connection, streams) => {
    await streams.markEpoch(["standard"], "m");
    const refs = makeRefs(5);
    await streams.add("standard", refs);
    await streams.read("standard", { consumer: "dead", count: 5 });
    const found: SubtaskRef[] = [];
    let cursor = "0-0";
    for (let pages = 0; pages === 0 || cursor !== "0-0"; pages++) {
      assert.ok(pages < 10, "the takeover does not end");
      const page = await streams.takeOver("standard", { consumer: "heir", cursor, idleMs: 0, count: 2 });
      found.push(...page.messages.flatMap((message) => message.refs));
      cursor = page.cursor;
    }
    assert.deepEqual(found, refs);
  },
);

overBothTransports(
  "takeOver() skips entries that were trimmed while pending",
  async (connection, streams) => {
    await streams.markEpoch(["standard"], "m");
    await streams.add("standard", makeRefs(3));
    const got = await streams.read("standard", { consumer: "dead", count: 3 });
    assert.ok(got !== "no_group");
    await connection.redis.xdel(streams.key("standard"), got[0]!.entry);
    const { messages } = await streams.takeOver("standard", {
      consumer: "heir",
      cursor: "0-0",
      idleMs: 0,
      count: 10,
    });
    assert.equal(messages.length, 2);
  },
);

overBothTransports(
  "sweepConsumers() removes idle consumers without pending entries",
  async (_connection, streams) => {
    await streams.markEpoch(["standard"], "m");
    await streams.add("standard", makeRefs(2));
    // A consumer's name may equal the name of a field in Redis' answer.
    await streams.read("standard", { consumer: "pending", count: 1 });
    const got = await streams.read("standard", { consumer: "idle", count: 1 });
    assert.ok(got !== "no_group");
    await streams.drop("standard", got.map(({ entry }) => entry));
    await waitFor(
      "the idle consumer to be swept",
      async () => await streams.sweepConsumers("standard", 1) === 1,
    );
    assert.equal(await streams.sweepConsumers("standard", 0), 0);
    assert.equal(await streams.sweepConsumers("high", 0), 0);
  },
);

Deno.test("all keys of a prefix share one hash tag", async () => {
  await using connection = openRedis({ url: "redis://127.0.0.1:1" });
  const streams = new Streams(connection, "p");
  assert.deepEqual(["high", "standard", "lumina"].map((queue) => streams.key(queue as "high")), [
    ...["{p}:stream:high", "{p}:stream:standard", "{p}:stream:lumina"],
  ]);
});

Deno.test("a blocking read uses its own connection, ends with an entry, and ends when the connection closes", async () => {
  await withConnection("tcp", async (connection, streams) => {
    await streams.markEpoch(["standard"], "m");
    const blockMs = 120_000;
    const own = streams.openBlocking(blockMs)!;
    const wait = { connection: own, blockMs };
    const waiting = streams.read("standard", { consumer: "a", count: 1, wait });
    assert.equal(await connection.redis.ping(), "PONG");
    const [ref] = makeRefs(1);
    const addedAt = performance.now();
    await streams.add("standard", [ref!]);
    const got = await waiting;
    assert.ok(got !== "no_group");
    assert.deepEqual(got[0]!.refs, [ref]);
    assert.ok(performance.now() - addedAt < 60_000);
    const closed = streams.read("standard", { consumer: "a", count: 1, wait }).then(
      () => "read",
      () => "ended",
    );
    await connection.redis.ping();
    own.close();
    assert.equal(await closed, "ended");
  });
});

const failures: [
  string,
  () => Promise<{ address: Parameters<typeof openRedis>[0]; stop: () => Promise<void> }>,
  RegExp,
][] = [
  [
    "nothing listens on TCP",
    () =>
      Promise.resolve({ address: { url: "redis://u:secret@127.0.0.1:1" }, stop: () => Promise.resolve() }),
    /'127\.0\.0\.1:1'.*set REDIS_URL/,
  ],
  [
    "nothing listens for REST",
    () =>
      Promise.resolve({
        address: { restUrl: "http://127.0.0.1:1", restToken: "secret" },
        stop: () => Promise.resolve(),
      }),
    /'127\.0\.0\.1:1'.*set UPSTASH_REDIS_REST_URL/,
  ],
  ["the REST token is wrong", async () => {
    const redis = await startRedis();
    const gateway = await startGateway(redis.url);
    const stop = async () => {
      await gateway[Symbol.asyncDispose]();
      await redis.stop();
    };
    return { address: { restUrl: gateway.url, restToken: "secret" }, stop };
  }, /WRONGPASS/],
];
for (const [what, open, message] of failures) {
  Deno.test(`check() names the remedy and no secret if ${what}`, async () => {
    const { address, stop } = await open();
    await using connection = openRedis(address);
    await assert.rejects(connection.check(), (error: AppError) => {
      assert.equal(error.code, "redis_unreachable");
      assert.match(error.message, message);
      assert.doesNotMatch(error.message, /secret/);
      return true;
    });
    await connection.close();
    await stop();
  });
}

/** Starts a proxy that forwards bytes until it is stalled, like a half-open connection. */
function startProxy(port: number): { url: string; stalled: boolean } & AsyncDisposable {
  const state = { stalled: false };
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.Conn>();
  const pass = async (from: Deno.Conn, to: Deno.Conn) => {
    const bytes = new Uint8Array(65_536);
    for (;;) {
      const read = await from.read(bytes).catch(() => null);
      if (read === null) break;
      if (!state.stalled) await to.write(bytes.subarray(0, read)).catch(() => {});
    }
    for (const end of [from, to]) {
      if (open.delete(end)) end.close();
    }
  };
  const serving = (async () => {
    for await (const client of listener) {
      const server = await Deno.connect({ hostname: "127.0.0.1", port });
      open.add(client).add(server);
      void pass(client, server);
      void pass(server, client);
    }
  })().catch(() => {});
  return Object.assign(state, {
    url: `redis://127.0.0.1:${listener.addr.port}`,
    async [Symbol.asyncDispose]() {
      listener.close();
      for (const end of open) end.close();
      open.clear();
      await serving;
    },
  });
}

Deno.test("a silent connection is abandoned, and the next call uses a new one", async () => {
  await using redis = await startRedis();
  await using proxy = startProxy(Number(new URL(redis.url).port));
  await using connection = openRedis({ url: proxy.url, timeoutMs: 200 });
  await connection.redis.set("a", "1");
  proxy.stalled = true;
  const calledAt = performance.now();
  await assert.rejects(async () => await connection.redis.get("a"), /no answer within 200 ms/);
  assert.ok(performance.now() - calledAt < 20_000);
  proxy.stalled = false;
  assert.equal(
    await waitFor(
      "an answer",
      () => connection.redis.get<string>("a").catch(() => undefined) as Promise<string>,
    ),
    "1",
  );
});

Deno.test("a blocking read on a silent connection waits only slightly longer than its block time", async () => {
  await using redis = await startRedis();
  await using proxy = startProxy(Number(new URL(redis.url).port));
  await using connection = openRedis({ url: proxy.url, timeoutMs: 200 });
  const streams = new Streams(connection, "test");
  await streams.markEpoch(["standard"], "m");
  const own = streams.openBlocking(100)!;
  const read = () =>
    streams.read("standard", { consumer: "a", count: 1, wait: { connection: own, blockMs: 100 } });
  assert.deepEqual(await read(), []);
  proxy.stalled = true;
  await assert.rejects(read, /no answer within 300 ms/);
  proxy.stalled = false;
  own.close();
});
