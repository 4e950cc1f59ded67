/** Every state in which this system must not be put in charge is refused under its own name. */
import assert from "node:assert/strict";
import { connect } from "../../../db/pg/connect.ts";
import { digestKey, product } from "../../../db/traffic/identity.ts";
import type { SwitchContext } from "../../../migrate/data/cutover/context.ts";
import { saveAcceptances } from "../../../migrate/data/cutover/decisions.ts";
import { checkNames, readGate } from "../../../migrate/data/cutover/gate.ts";
import type { SwitchOptions } from "../../../migrate/data/cutover/options.ts";
import { signToken } from "../../../migrate/data/cutover/token.ts";
import { openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { setWriteBlock } from "../../../migrate/data/sources/write_block.ts";
import { secret } from "../../support/api.ts";
import { createDatabase } from "../../support/database.ts";
import { databaseName, startFollowed, syncOnce } from "../support/followed.ts";
import { makeSubtask, makeTask, makeUser } from "../support/legacy_documents.ts";
import { mongod } from "../support/sources.ts";
import { type OldBackend } from "../../../dev/servers/old_backend.ts";
import { accepted, keep, startOld } from "./rig.ts";

interface Case {
  /** The check that must refuse. */
  name: string;
  what: string;
  /** SQL that injects the state, or a function; what it returns is run afterwards. */
  inject?: string | ((rig: GateRig) => Promise<(() => Promise<unknown>) | void>);
  options?: Partial<SwitchOptions>;
  context?: (rig: GateRig) => Partial<SwitchContext>;
  /** Further checks that refuse as well. */
  also?: string[];
}

type GateRig = SwitchContext & { old: OldBackend; followed: Awaited<ReturnType<typeof startFollowed>> };

const changed = (sql: string) => `update migration.follows set ${sql}`;
const unaccept = (name: string) => `delete from migration.decisions where name = 'accept:${name}'`;
const neverVerified = ["verified_equal", "verified_recently", "verified_source", "verified_after_gap"];
const process = (changes: string) => `update migration.front_processes set ${changes}`;

const closedPort = (): string => {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${listener.addr.port}`;
};

const otherToken = await signToken({ sub: "1", email: "a@example.com" }, "another", 60);

const cases: Case[] = [
  {
    name: "sync_begun",
    what: "nothing is followed",
    inject: "delete from migration.follows",
    also: [
      "sync_mode",
      "copy_complete",
      "sync_running",
      "sync_lag",
      "oplog_known",
      "verified_source",
      "source_identity",
    ],
  },
  {
    name: "sync_mode",
    what: "the source is polled",
    inject: changed("mode = 'poll'"),
    also: ["oplog_known"],
  },
  {
    name: "sync_not_stopped",
    what: "the source was replaced",
    inject: changed("state = 'stopped', stop_reason = 'collection tasks was dropped'"),
    also: ["oplog_known"],
  },
  {
    name: "sync_not_ended",
    what: "the sync has ended",
    inject: changed("state = 'ended'"),
    also: ["sync_lag", "oplog_known"],
  },
  {
    name: "copy_complete",
    what: "the first copy runs",
    inject: changed("state = 'copying', copied_at = null"),
    also: ["sync_lag"],
  },
  {
    name: "gap_closed",
    what: "a gap is open",
    inject: "insert into migration.gaps (reason, found_at) values ('lost', now() - interval '1 day')",
  },
  {
    name: "gap_closed",
    what: "a gap is being compared",
    inject: changed("state = 'gap'"),
    also: ["sync_lag"],
  },
  { name: "sync_running", what: "no process syncs", inject: "delete from leaders where role = 'sync'" },
  { name: "sync_lag", what: "the sync is behind", inject: changed("lag_ms = 5000") },
  {
    name: "sync_lag",
    what: "the sync was behind half a minute ago",
    inject: changed("behind_at = now() - interval '30 s'"),
  },
  {
    name: "sync_lag",
    what: "the sync stands still",
    inject: changed("applied_at = now() - interval '1 minute'"),
  },
  { name: "oplog_known", what: "the oplog was never read", inject: changed("oplog_read_at = null") },
  {
    name: "oplog_headroom",
    what: "the position is soon lost",
    inject: `${changed("oplog_from = position_at - interval '1 h'")}; ${unaccept("oplog_headroom")}`,
  },
  {
    name: "waiting_accepted",
    what: "a document waits for its task",
    inject: `insert into migration.waiting (collection, document_id, reason, path, detail, awaited, original)
      values ('dramatiq_tasks', '"a"', 'orphan', '', '', '', '')`,
  },
  {
    name: "quarantine_accepted",
    what: "a document is in quarantine",
    inject:
      `insert into migration.quarantine (fingerprint, collection, range_number, position, document_id, reason, path, detail, original)
      select fingerprint, 'tasks', 0, 1, '"a"', 'wrong_type', '', '', '' from migration.follows`,
  },
  {
    name: "quarantine_accepted",
    what: "one more document came into quarantine than was accepted",
    inject: async (rig) => {
      const insert = (n: number) =>
        rig.pool`
          insert into migration.quarantine (fingerprint, collection, range_number, position, document_id, reason, path, detail, original)
          select fingerprint, 'tasks', 0, ${n}, ${`"${n}"`}, 'wrong_type', '', '', '' from migration.follows`;
      await insert(1);
      await saveAcceptances(rig, ["quarantine:tasks/wrong_type"]);
      const gate = await readGate(rig, keep());
      assert.equal(gate.checks.find(({ name }) => name === "quarantine_accepted")!.state, "ready");
      await insert(2);
    },
  },
  {
    name: "verified",
    what: "never verified",
    inject: "delete from migration.live_verifications",
    also: neverVerified,
  },
  {
    name: "verified_equal",
    what: "the verification found differences",
    inject: "update migration.live_verifications set verdict = 'different', differences = 2",
  },
  {
    name: "verified_recently",
    what: "the verification is two days old",
    inject: "update migration.live_verifications set started_at = now() - interval '2 days'",
  },
  {
    name: "verified_source",
    what: "another source was verified",
    inject: `insert into migration.sources (fingerprint, kind, location) values ('other', 'followed', 'x')
      on conflict do nothing; update migration.live_verifications set fingerprint = 'other'`,
  },
  {
    name: "verified_after_gap",
    what: "the position was lost since the verification",
    inject: "insert into migration.gaps (reason, healed_at, compared, applied) values ('lost', now(), 1, 0)",
  },
  {
    name: "phase_in_order",
    what: "this system is in charge already",
    inject: "update migration.traffic set phase = 'new'",
  },
  {
    name: "phase_in_order",
    what: "a hold is in force",
    inject:
      "update migration.traffic set phase = 'holding', phase_before = 'old', hold_until = now() + interval '1 minute'",
  },
  {
    name: "no_other_cutover",
    what: "another cut-over was killed",
    inject: "insert into migration.cutovers (kind, started_by) values ('cutover', 'x')",
  },
  {
    name: "no_other_migrator",
    what: "a load is running",
    inject: async ({ pool }) => {
      const session = await pool.reserve();
      await session`select pg_advisory_lock(${0x636f6e75})`;
      return () => Promise.resolve(session.release());
    },
  },
  { name: "unfinished_decided", what: "nobody decided about unfinished work", options: { unfinished: null } },
  {
    name: "capture_installed",
    what: "a trigger is missing",
    inject: async ({ pool }) => {
      await pool`alter trigger users_capture_inserted on users rename to renamed`;
      return () => pool`alter trigger renamed on users rename to users_capture_inserted`;
    },
  },
  {
    name: "capture_off",
    what: "changes are captured already",
    inject: "call migration.set_capture(true)",
  },
  {
    name: "capture_off",
    what: "one trigger is enabled",
    inject: "alter table users enable trigger users_capture_inserted",
  },
  {
    name: "changes_written",
    what: "changes of an earlier way back are left",
    inject: "insert into migration.changes (collection, row_id) values ('users', gen_random_uuid())",
  },
  {
    name: "back_not_running",
    what: "the way back runs",
    inject: "insert into leaders (role, holder, lease_until) values ('back', 'x', now() + interval '1 h')",
  },
  {
    name: "backup_taken",
    what: "no backup was taken",
    inject: "delete from migration.decisions where name = 'backup'",
    also: ["backup_recent", "backup_restored"],
  },
  {
    name: "backup_recent",
    what: "the backup is old",
    inject: "update migration.decisions set decided_at = now() - interval '8 days' where name = 'backup'",
  },
  { name: "backup_restored", what: "the backup was never restored", inject: unaccept("backup_restored") },
  {
    name: "backup_restored",
    what: "an older backup was restored",
    inject: "update migration.decisions set decided_at = now() + interval '1 s' where name = 'backup'",
  },
  { name: "disk_headroom", what: "nobody looked at the disk", inject: unaccept("disk_headroom") },
  {
    name: "disk_headroom",
    what: "somebody looked at the disk two days ago",
    inject:
      "update migration.decisions set decided_at = now() - interval '2 days' where name = 'accept:disk_headroom'",
  },
  { name: "shadow_compared", what: "nothing was compared", inject: "delete from migration.shadow_answers" },
  {
    name: "shadow_compared",
    what: "the answers were compared two days ago",
    inject: "update migration.shadow_answers set hour = hour - interval '2 days'",
  },
  {
    name: "shadow_explained",
    what: "answers differ and nothing explains it",
    inject: `insert into migration.shadow_differences (route, path, cause, rule, sample_target)
      values ('GET /x', '$.a', 'code', 'unexplained', '/x')`,
  },
  {
    name: "process_present",
    what: "no API process stands before both",
    inject: "delete from migration.front_processes",
  },
  {
    name: "process_alive",
    what: "an API process hangs",
    inject: process("seen_at = now() - interval '3 s'"),
  },
  { name: "process_version", what: "an API process has another version", inject: process("product = '0'") },
  { name: "process_key", what: "an API process has another key", inject: process("key_digest = 'other'") },
  {
    name: "process_acknowledged",
    what: "an API process works by an older phase",
    inject: process("acknowledged = 0"),
  },
  { name: "worker_present", what: "no worker runs", inject: "delete from workers" },
  {
    name: "worker_present",
    what: "the only worker is dead",
    inject: "update workers set heartbeat_at = now() - interval '1 minute'",
  },
  {
    name: "worker_present",
    what: "no worker serves lumina",
    inject: "update workers set queues = '{high,standard}'",
  },
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
    inject: async (rig) => {
      const server = Deno.serve(
        { hostname: "127.0.0.1", port: 0, onListen() {} },
        () => new Response("hello"),
      );
      const before = rig.config.LEGACY_API_URL;
      rig.config.LEGACY_API_URL = `http://127.0.0.1:${server.addr.port}`;
      return await Promise.resolve(async () => {
        rig.config.LEGACY_API_URL = before;
        await server.shutdown();
      });
    },
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
];

/** Brings everything that a case may have changed into a state that is ready. */
async function reset({ pool, by }: SwitchContext, follow: Record<string, unknown>): Promise<void> {
  await pool.begin(async (sql) => {
    await sql`call migration.set_capture(false)`;
    for (
      const table of [
        "waiting",
        "quarantine",
        "gaps",
        "changes",
        "cutovers",
        "decisions",
        "shadow_differences",
        "shadow_answers",
        "front_processes",
        "live_verifications",
        "follows",
      ]
    ) await sql`delete from ${sql(`migration.${table}`)}`;
    await sql`insert into migration.follows ${sql(follow)}`;
    await sql`
      update migration.follows
      set state = 'following', stop_reason = null, mode = 'stream', lag_ms = 0, applied_at = now() + interval '1 h',
        behind_at = now() - interval '2 minutes', copied_at = now(), oplog_read_at = now(),
        oplog_from = position_at - interval '5 h'`;
    await sql`
      insert into migration.live_verifications (fingerprint, ended_at, verdict)
      select fingerprint, now(), 'equal' from migration.follows`;
    await sql`insert into migration.shadow_answers (hour, compared, equal) values (date_trunc('hour', now()), 200, 200)`;
    await sql`
      update migration.traffic set phase = 'shadow', phase_before = null, hold_until = null`;
    await sql`
      insert into migration.front_processes (id, host, pid, product, key_digest, acknowledged, seen_at)
      select 'a', 'host', 1, ${product}, ${digestKey(secret)}, version, now() from migration.traffic`;
    await sql`delete from leaders`;
    await sql`insert into leaders (role, holder, lease_until) values ('sync', 'host:1', now() + interval '1 h')`;
    await sql`delete from workers`;
    await sql`
      insert into workers (id, host, pid, queues) values ('w', 'host', 2, '{high,standard,lumina}')`;
    await sql`
      insert into migration.decisions (name, value, decided_by, decided_at)
      values ('backup', '{"folder":"/backup"}', 'x', now() - interval '1 h')`;
  });
  await saveAcceptances(
    { pool, by },
    accepted.filter((name) => !["worker_present", "shadow_compared", "oplog_known"].includes(name)),
  );
}

async function startGateRig(stack: AsyncDisposableStack): Promise<GateRig> {
  const followed = stack.use(await startFollowed());
  const { db } = followed;
  const user = makeUser("owner@example.com");
  const task = makeTask(user.email);
  await db.collection("users").insertOne(user);
  await db.collection("tasks").insertOne(task);
  await db.collection<Record<string, unknown>>("dramatiq_tasks").insertOne(makeSubtask(task.id));
  const database = stack.use(await createDatabase());
  await syncOnce(database.sql, followed);
  const old = stack.use(await startOld(followed));
  const source = stack.use(await openFollowed(followed.mongo.url, databaseName));
  const { parseConfig } = await import("../../../config.ts");
  const config = parseConfig({
    DATABASE_URL: database.url,
    SECRET_KEY: secret,
    LEGACY_API_URL: old.origin,
    REDIS_URL: closedPort().replace("http", "redis"),
  }, "migrate");
  const { callHttp } = await import("../../../http.ts");
  const signal = new AbortController().signal;
  return {
    pool: database.sql,
    source,
    config,
    http: callHttp,
    by: "test",
    onNote() {},
    signal,
    old,
    followed,
  };
}

const namesOf = (checks: { name: string; state: string }[], ...states: string[]) =>
  checks.filter(({ state }) => states.includes(state)).map(({ name }) => name);

Deno.test({
  name: "each state that is not ready is refused by its own name, with what to do",
  ignore: !mongod,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const rig = await startGateRig(stack);
    const { pool } = rig;
    const [follow] = await pool`select * from migration.follows`;
    await reset(rig, follow!);
    const gate = await readGate(rig, keep());
    assert.deepEqual(namesOf(gate.checks, "not_ready", "unknown"), []);
    assert.equal(gate.isReady, true);
    assert.deepEqual(gate.checks.map(({ name }) => name), checkNames);
    for (const { name, what, inject, options = {}, context = () => ({}), also = [] } of cases) {
      await t.step(`${name}: ${what}`, async () => {
        await reset(rig, follow!);
        const undo = typeof inject === "string"
          ? await pool.unsafe(inject).then(() => undefined)
          : await inject?.(rig);
        try {
          const { isReady, checks } = await readGate(Object.assign({}, rig, context(rig)), keep(options));
          assert.equal(isReady, false);
          assert.deepEqual(namesOf(checks, "not_ready", "unknown").sort(), [name, ...also].sort());
          const { found, todo } = checks.find((check) => check.name === name)!;
          assert.ok(found.length > 0 && todo.length > 0, `${found}; ${todo}`);
        } finally {
          await undo?.();
        }
      });
    }
    await t.step("clock_postgresql: the clock of PostgreSQL is wrong", async () => {
      await reset(rig, follow!);
      // This function hides the server's own one for connections with this search path.
      await pool`
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
        await pool`drop function public.clock_timestamp()`;
      }
    });
    await t.step("the checks on MongoDB are unknown when it has gone away", async () => {
      await reset(rig, follow!);
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
    await t.step("schema_current: a step of the schema is missing", async () => {
      await reset(rig, follow!);
      await pool`delete from migration.schema_steps where number = (select max(number) from migration.schema_steps)`;
      const { isReady, checks } = await readGate(rig, keep());
      assert.equal(isReady, false);
      assert.deepEqual(checks.map(({ name }) => name), ["schema_current"]);
    });
  },
});
