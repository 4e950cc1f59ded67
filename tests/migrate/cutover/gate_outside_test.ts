/** The gate refuses every state of MongoDB, of the old backend, of Redis and of the clocks that is not ready. */
import assert from "node:assert/strict";
import { type Document, MongoClient } from "mongodb";
import { startMongo } from "../../../dev/servers/mongo.ts";
import { connect } from "../../../db/pg/connect.ts";
import { readGate } from "../../../migrate/data/cutover/gate.ts";
import { signToken } from "../../../migrate/data/cutover/token.ts";
import { type FollowedMongo, openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { setWriteBlock } from "../../../migrate/data/sources/write_block.ts";
import { waitFor } from "../../support/wait.ts";
import { databaseName } from "../support/followed.ts";
import { mongod } from "../support/sources.ts";
import {
  type Case,
  changed,
  closedPort,
  type GateRig,
  namesOf,
  runCases,
  startGateRig,
  unaccept,
} from "./gate_rig.ts";
import { keep } from "./rig.ts";

const otherToken = await signToken({ sub: "1", email: "a@example.com" }, "another", 60);

/** Replaces the old backend by another server. */
const answerOld = (respond: (request: Request) => Response | Promise<Response>) => async (rig: GateRig) => {
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, respond);
  const before = rig.config.LEGACY_API_URL;
  rig.config.LEGACY_API_URL = `http://127.0.0.1:${server.addr.port}`;
  return await Promise.resolve(async () => {
    rig.config.LEGACY_API_URL = before;
    await server.shutdown();
  });
};

/** A source whose answer to one command is changed on its way. */
const answerMongo = (source: FollowedMongo, command: string, change: (answer: Document) => Document) => {
  const db = new Proxy(source.db, {
    get: (target, name) =>
      name !== "command"
        ? Reflect.get(target, name).bind?.(target) ?? Reflect.get(target, name)
        : async (wanted: Document) => {
          const answer = await target.command(wanted);
          return command in wanted ? Object.assign({}, answer, change(answer)) : answer;
        },
  });
  return new Proxy(source, { get: (target, name) => name === "db" ? db : Reflect.get(target, name) });
};

const cases: Case[] = [
  { name: "redis_reachable", what: "Redis does not answer", inject: unaccept("redis_reachable") },
  {
    name: "source_identity",
    what: "another MongoDB is named",
    inject: changed("source_identity = 'rs1 other'"),
  },
  {
    name: "source_not_frozen",
    what: "writes are blocked already",
    inject: async ({ followed: { db } }) => {
      await setWriteBlock(db.client, true);
      return () => setWriteBlock(db.client, false);
    },
  },
  {
    name: "executor_quiet",
    what: "the old executor draws",
    inject: async ({ followed: { db } }) => {
      const subtasks = db.collection("dramatiq_tasks");
      await subtasks.updateOne({}, { $set: { status: "processing", updated_at: new Date() } });
      return () => subtasks.updateOne({ status: "processing" }, { $set: { status: "pending" } });
    },
  },
  {
    name: "old_backend_named",
    what: "LEGACY_API_URL is not set",
    context: ({ config }) => ({ config: Object.assign({}, config, { LEGACY_API_URL: "" }) }),
    also: ["old_backend_up", "key_accepted"],
  },
  {
    name: "old_backend_up",
    what: "the old backend is down",
    context: ({ config }) => ({ config: Object.assign({}, config, { LEGACY_API_URL: closedPort() }) }),
    also: ["key_accepted"],
  },
  {
    name: "old_backend_up",
    what: "something else answers there",
    inject: answerOld(() => new Response("hello")),
    also: ["key_accepted"],
  },
  {
    name: "key_accepted",
    what: "SECRET_KEY is another one",
    context: ({ config }) => ({ config: Object.assign({}, config, { SECRET_KEY: "another" }) }),
    also: ["process_key"],
  },
  {
    name: "key_accepted",
    what: "the given token was signed with another key",
    context: () => ({ oldToken: otherToken }),
  },
  {
    name: "old_backend_up",
    what: "the old backend is slow",
    inject: answerOld(() => new Promise((resolve) => setTimeout(() => resolve(new Response()), 6000))),
    says: /it is slow; start the old backend/,
    also: ["key_accepted"],
  },
  {
    name: "old_backend_up",
    what: "the old backend answers garbage",
    inject: async (rig) => {
      const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
      const serving = (async () => {
        for await (const client of listener) {
          await client.write(new TextEncoder().encode("\x00\x01 garbage\r\n\r\n")).catch(() => {});
          client.close();
        }
      })().catch(() => {});
      const before = rig.config.LEGACY_API_URL;
      rig.config.LEGACY_API_URL = `http://127.0.0.1:${listener.addr.port}`;
      return await Promise.resolve(async () => {
        rig.config.LEGACY_API_URL = before;
        listener.close();
        await serving;
      });
    },
    says: /it is unreachable/,
    also: ["key_accepted"],
  },
  {
    name: "old_backend_up",
    what: "another version answers, which needs no token",
    inject: answerOld(() => Response.json({ email: "anybody" })),
    says: /it answers 200 without a token, wanted 401 or 403/,
    also: ["key_accepted"],
  },
  {
    name: "disk_mongodb",
    what: "the disk of MongoDB is nearly full",
    context: ({ source }) => ({
      source: answerMongo(source, "dbStats", () => ({ totalSize: 8e9, fsTotalSize: 1e11, fsUsedSize: 98e9 })),
    }),
    says: /the database has 8[.]0 GB; 2[.]0 GB are free; make sure that 4[.]0 GB or more are free/,
  },
  {
    name: "disk_mongodb",
    what: "the server does not tell what is free",
    context: ({ source }) => ({
      source: answerMongo(source, "dbStats", () => ({ fsTotalSize: undefined, fsUsedSize: undefined })),
    }),
    says: /the server does not tell what is free/,
  },
  {
    name: "clock_mongodb",
    what: "the clock of MongoDB is wrong",
    context: ({ source }) => ({
      source: answerMongo(
        source,
        "hello",
        ({ localTime }) => ({ localTime: new Date(localTime.getTime() - 3000) }),
      ),
    }),
    says: /-[23][0-9]{3} ms from this machine/,
  },
];

/** Opens the MongoDB with an account. */
const openAs = (url: string, account: string) =>
  openFollowed(
    `${url.replace("mongodb://", `mongodb://${account}:secret@`)}&authSource=admin`,
    databaseName,
  );

async function checkSource(rig: GateRig, source: FollowedMongo, names: string[]): Promise<void> {
  await rig.reset();
  const { checks } = await readGate(Object.assign({}, rig, { source }), keep());
  assert.deepEqual(namesOf(checks, "not_ready", "unknown").sort(), names.sort());
}

Deno.test({
  name:
    "each state of MongoDB, of the old backend and of the clocks that is not ready is refused by its own name",
  ignore: !mongod,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const rig = await startGateRig(stack);
    await runCases(t, rig, cases);
    await t.step("clock_postgresql: the clock of PostgreSQL is wrong", async () => {
      await rig.reset();
      // This function hides the server's own one for connections with this search path.
      await rig.pool`
        create function public.clock_timestamp() returns timestamptz language sql
        return pg_catalog.clock_timestamp() + interval '3 s'`;
      const wrong = connect(rig.config.DATABASE_URL, {
        max: 2,
        session: { search_path: "public, pg_catalog" },
      });
      try {
        const { checks } = await readGate(Object.assign({}, rig, { pool: wrong }), keep());
        assert.deepEqual(namesOf(checks, "not_ready"), ["clock_postgresql"]);
      } finally {
        await wrong.end();
        await rig.pool`drop function public.clock_timestamp()`;
      }
    });
    await t.step("the checks on MongoDB are unknown when it has gone away", async () => {
      await rig.reset();
      const source = await openFollowed(rig.followed.mongo.url, databaseName);
      await source.client.close();
      Object.defineProperty(source, "db", {
        get: () => ({ command: () => Promise.reject(new Error("gone")) }),
      });
      const { isReady, checks } = await readGate(Object.assign({}, rig, { source }), keep());
      assert.equal(isReady, false);
      assert.ok(namesOf(checks, "unknown").includes("freeze_possible"));
      await source[Symbol.asyncDispose]();
    });
    await t.step("source_primary: the server is a secondary", async () => {
      const direct = rig.followed.mongo.url.replace("replicaSet=rs0", "directConnection=true");
      await using source = await openFollowed(direct, databaseName);
      const admin = source.client.db("admin");
      await admin.command({ replSetStepDown: 60, secondaryCatchUpPeriodSecs: 0, force: true });
      await waitFor("a secondary", async () => (await admin.command({ hello: 1 })).secondary === true);
      // The old backend reads the same server, which it cannot reach now.
      await checkSource(rig, source, ["source_primary", "key_accepted"]);
      await admin.command({ replSetFreeze: 0 });
    });
  },
});

Deno.test({
  name: "an account that may not block writes, or not write, is refused by its own name",
  ignore: !mongod,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const rig = await startGateRig(stack);
    await using mongo = await startMongo(mongod!, { root: { user: "root", password: "secret" } });
    const root = new MongoClient(mongo.url.replace("mongodb://", "mongodb://root:secret@"));
    for (const name of ["users", "tasks", "dramatiq_tasks"]) {
      await root.db(databaseName).createCollection(name);
    }
    const admin = root.db("admin");
    const database = { db: databaseName };
    await admin.command({ createUser: "writer", pwd: "secret", roles: [{ role: "readWrite", ...database }] });
    const readerRoles = [{ role: "read", ...database }, "backup"];
    await admin.command({ createUser: "reader", pwd: "secret", roles: readerRoles });
    await root.close();
    await t.step("freeze_possible: the account may not block writes", async () => {
      await using source = await openAs(mongo.url, "writer");
      await checkSource(rig, source, ["source_identity", "freeze_possible"]);
      await rig.reset();
      const hook = { freeze: { way: "confirmed" as const } };
      const { checks } = await readGate(Object.assign({}, rig, { source }), keep(hook));
      assert.deepEqual(namesOf(checks, "not_ready"), ["source_identity"], "somebody else stops the writes");
    });
    await t.step("way_back_writes: the account may not write", async () => {
      await using source = await openAs(mongo.url, "reader");
      await checkSource(rig, source, ["source_identity", "way_back_writes"]);
    });
  },
});
