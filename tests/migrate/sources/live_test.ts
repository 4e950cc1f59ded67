import assert from "node:assert/strict";
import { startMongo } from "../../../dev/servers/mongo.ts";
import { findFreePort } from "../../../dev/servers/ports.ts";
import { AppError, describeError } from "../../../errors.ts";
import { readBson } from "../../../migrate/data/documents/bson_read.ts";
import { writeBson } from "../../../migrate/data/documents/bson_write.ts";
import { writeCanonical } from "../../../migrate/data/documents/ejson_write.ts";
import { type LiveSource, openLive } from "../../../migrate/data/sources/mongo_live.ts";
import { openSource } from "../../../migrate/data/sources/open.ts";
import { collections, type Range } from "../../../migrate/data/documents/source.ts";
import {
  BsonDocument,
  type BsonValue,
  DateMs,
  Double,
  ObjectId,
  Special,
} from "../../../migrate/data/documents/tree.ts";
import { insertRaw } from "../support/mongo_raw.ts";
import { mongod } from "../support/sources.ts";

const password = "s3cr€t/@:pass";
const encoded = encodeURIComponent(password);
const testLive = (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore: !mongod, fn });

const withId = (id: BsonValue, i = 0) =>
  writeBson(new BsonDocument(["_id", "i", "text"], [id, i, "x".repeat(100)]));

async function fill(url: string, database: string, documents: Partial<Record<string, Uint8Array[]>> = {}) {
  for (const collection of collections) {
    await insertRaw(url, { database, collection, documents: documents[collection] ?? [] });
  }
}

const hasError = (code: string, ...patterns: RegExp[]) => (error: unknown) => {
  assert.ok(error instanceof AppError, String(error));
  assert.equal(error.code, code, error.message);
  for (const pattern of patterns) assert.match(error.message, pattern);
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const text = `${describeError(cause)} ${cause.stack}`;
    assert.ok(!text.includes(password) && !text.includes(encoded), "the password is visible");
  }
  return true;
};

async function readRanges(source: LiveSource, ranges: Range[]) {
  const found = [];
  for (const range of ranges) found.push(...await source.read(range));
  return found;
}

/** At least one `_id` of each type that MongoDB accepts. */
const ids: BsonValue[] = [
  new Special('{"$minKey":1}'),
  null,
  new Double(NaN),
  new Double(-Infinity),
  -5n,
  0,
  1,
  new Double(1.5),
  2n ** 62n,
  new Special('{"$numberDecimal":"1.25"}'),
  new Double(Infinity),
  "",
  "1",
  "66aa00000000000000000001",
  "a\0b",
  new Special('{"$symbol":"sym"}'),
  new BsonDocument([], []),
  new BsonDocument(["a", "10", "2"], [1, "x", null]),
  new BsonDocument(["nested"], [new BsonDocument(["a.b"], [5n])]),
  new Special('{"$binary":{"base64":"AP8=","subType":"00"}}'),
  new Special('{"$binary":{"base64":"AAECAwQFBgcICQoLDA0ODw==","subType":"04"}}'),
  new ObjectId("66aa00000000000000000001"),
  new ObjectId("66aa00000000000000000002"),
  false,
  true,
  new DateMs(-1),
  new DateMs(2n ** 63n - 1n),
  new Special('{"$timestamp":{"t":1,"i":2}}'),
  new Special('{"$code":"f()"}'),
  new Special('{"$maxKey":1}'),
];

for (const replicaSet of [false, true]) {
  testLive(
    `live: every type of _id is read, also from ranges of one document (${
      replicaSet ? "replica set" : "standalone"
    })`,
    async () => {
      await using server = await startMongo(mongod!, { replicaSet });
      const documents = ids.toReversed().map((id, i) => withId(id, i));
      await fill(server.url, "old", { tasks: documents });
      await using source = await openLive(server.url, "old");
      assert.equal(source.topology, replicaSet ? "replica set" : "standalone");
      assert.equal(source.notes.length, replicaSet ? 0 : 1);
      for (const rangeBytes of [1, 300, 1 << 20]) {
        const { ranges, documents: count } = await source.survey("tasks", { rangeBytes });
        assert.equal(count, ids.length);
        // MaxKey, the end of the index, belongs to the range before it.
        const most = { 1: ids.length - 1, 300: Math.ceil(ids.length / 3), [1 << 20]: 1 }[rangeBytes];
        assert.equal(ranges.length, most);
        const found = await readRanges(source, ranges);
        assert.deepEqual(found.map(({ position }) => position), ids.map((_, i) => i + 1));
        const order = found.map((raw) => writeCanonical(raw.read().get("_id")!));
        // The order of the server: NaN precedes the other numbers, and symbols are sorted among texts.
        assert.deepEqual(order.toSorted(), ids.map(writeCanonical).toSorted());
        assert.deepEqual(
          new Set(found.map((raw) => raw.original().toHex())),
          new Set(documents.map((b) => b.toHex())),
        );
        // A later run knows only the texts of the ranges in the ledger.
        await using again = await openLive(server.url, "old");
        assert.equal((await readRanges(again, ranges.toReversed())).length, ids.length);
      }
    },
  );
}

testLive(
  "live: invalid UTF-8, duplicate keys and documents larger than a batch are read unchanged",
  async () => {
    await using server = await startMongo(mongod!);
    const invalid = withId("invalid");
    invalid[invalid.length - 10] = 0xff;
    const duplicated = writeBson(new BsonDocument(["_id", "a", "a"], ["duplicated", 1, 2]));
    const large = writeBson(new BsonDocument(["_id", "text"], ["large", "长".repeat(5_000_000)]));
    const many = Array.from(
      { length: 3 },
      (_, i) => writeBson(new BsonDocument(["_id", "t"], [i, "x".repeat(9_000_000)])),
    );
    await fill(server.url, "old", { tasks: [invalid, duplicated, large, ...many] });
    await using source = await openLive(`${server.url}`, "old");
    const { ranges, documents } = await source.survey("tasks", { rangeBytes: 1 << 20 });
    assert.equal(documents, 6);
    const found = await readRanges(source, ranges);
    const texts = found.map((raw) => raw.original().toHex());
    for (const bytes of [invalid, duplicated, large, ...many]) assert.ok(texts.includes(bytes.toHex()));
    assert.ok(!(readBson(invalid).get("text") as string).isWellFormed());
  },
);

testLive(
  "live: a source that changes between survey and read is reported, and can be surveyed again",
  async () => {
    await using server = await startMongo(mongod!);
    await fill(server.url, "old", { tasks: [withId(1), withId(2)] });
    await using source = await openLive(server.url, "old");
    const { ranges: [range] } = await source.survey("tasks", { rangeBytes: 1 << 20 });
    for (const name of ["users", "dramatiq_tasks"] as const) {
      await source.survey(name, {
        rangeBytes: 1 << 20,
      });
    }
    const before = source.fingerprint();
    await insertRaw(server.url, { database: "old", collection: "tasks", documents: [withId(3)] });
    await assert.rejects(
      source.read(range!),
      hasError("source_changed", /reading tasks from 'mongodb:\/\/.*\/old'/),
    );
    const { ranges } = await source.survey("tasks", { rangeBytes: 1 << 20 });
    assert.equal((await readRanges(source, ranges)).length, 3);
    assert.notEqual(source.fingerprint(), before);
  },
);

testLive("live: a server that stops during a read is reported", async () => {
  const server = await startMongo(mongod!);
  try {
    await fill(server.url, "old", { tasks: [withId(1)] });
    const url = `${server.url}&serverSelectionTimeoutMS=500`;
    await using source = await openLive(url, "old");
    const { ranges: [range] } = await source.survey("tasks", { rangeBytes: 1 << 20 });
    await server.stop("SIGKILL");
    await assert.rejects(
      source.read(range!),
      hasError("database_unreachable", /reading tasks/, /same command again/),
    );
  } finally {
    await server[Symbol.asyncDispose]();
  }
});

testLive(
  "live: wrong accounts, databases and collections are reported without the password",
  async () => {
    const root = { user: "root", password };
    await using server = await startMongo(mongod!, { root });
    const { host } = new URL(server.url.replace("mongodb:", "http:"));
    const url = (user: string, pass: string, path = "", query = "authSource=admin") =>
      `mongodb://${user}:${encodeURIComponent(pass)}@${host}/${path}?directConnection=true&${query}`;
    const cases: [url: string, database: string, code: string, pattern: RegExp][] = [
      [
        url("root", "wrong" + password),
        "old",
        "database_refused",
        /opening 'mongodb:\/\/127.*\/old': it refuses the user or the password/,
      ],
      [url("nobody", password), "old", "database_refused", /refuses the user or the password/],
      [url("root", password, "old", ""), "", "database_refused", /authSource=admin/],
      [
        `mongodb://${host}/old?directConnection=true`,
        "",
        "database_refused",
        /its account may not read there/,
      ],
      [
        url("root", password, "nothing"),
        "",
        "source_missing",
        /no collection users, tasks, dramatiq_tasks.*none at all/,
      ],
      [url("root", password), "", "invalid_source", /no database is named/],
    ];
    for (const [address, database, code, pattern] of cases) {
      await assert.rejects(openLive(address, database), hasError(code, pattern));
    }
    const { MongoClient } = await import("mongodb");
    const client = new MongoClient(url("root", password));
    await client.db("old").createCollection("users");
    await assert.rejects(
      openLive(url("root", password, "old")),
      hasError(
        "source_missing",
        /no collection tasks, dramatiq_tasks \(it has 'users'\).*createCollection\('tasks'\)/,
      ),
    );
    for (const name of ["tasks", "dramatiq_tasks"]) await client.db("old").createCollection(name);
    await client.close();
    await using source = await openLive(url("root", password), "old");
    assert.equal(source.location, `mongodb://${host}/old`);
    assert.deepEqual((await source.survey("users", { rangeBytes: 1 << 20 })).ranges, []);
    const settings = () => ({ MONGODB_URL: url("root", password), DB_NAME: "old" });
    await using named = await openSource("mongodb", settings) as LiveSource;
    assert.equal(named.location, source.location);
    await using byName = await openSource(url("root", password), settings) as LiveSource;
    assert.equal(byName.location, source.location);
  },
);

const unreachable = `mongodb://u:${encoded}@127.0.0.1:${findFreePort()}/old?serverSelectionTimeoutMS=300`;
const faulty: [name: string, from: string, code: string, pattern: RegExp][] = [
  [
    "an unreachable server",
    unreachable,
    "database_unreachable",
    /'mongodb:\/\/127\.0\.0\.1:\d+\/old': the old database does not answer/,
  ],
  ["no MONGODB_URL", "mongodb", "invalid_source", /no MONGODB_URL is set/],
  [
    "another scheme",
    `postgres://u:${encoded}@h/x`,
    "invalid_source",
    /'postgres:\/\/…': wanted mongodb:\/\//,
  ],
];
for (const [name, from, code, pattern] of faulty) {
  Deno.test(`live: ${name} is reported without the password`, async () => {
    await assert.rejects(openSource(from, () => ({ MONGODB_URL: "", DB_NAME: "" })), hasError(code, pattern));
  });
}

const program = new URL("../../../migrate/main.ts", import.meta.url).pathname;

testLive("live: the permissions of the migrate task suffice to read a MongoDB with an account", async () => {
  const root = { user: "root", password };
  await using server = await startMongo(mongod!, { root });
  const { host } = new URL(server.url.replace("mongodb:", "http:"));
  const { code, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-prompt", "-P=migrate", program, "data", "load", "--from", "mongodb"],
    cwd: new URL("../../..", import.meta.url).pathname,
    env: {
      DATABASE_URL: "postgres://u@127.0.0.1:1/x",
      MONGODB_URL: `mongodb://root:${encoded}@${host}/?authSource=admin`,
      DB_NAME: "old",
    },
    stdin: "null",
  }).output();
  const output = new TextDecoder().decode(stderr);
  assert.match(output, /'mongodb:\/\/127\.0\.0\.1:\d+\/old': the database has no collection users/);
  assert.equal(code, 66);
});
