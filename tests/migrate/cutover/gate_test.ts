/** The gate refuses every state of this system in which it must not be put in charge, each under its own name. */
import assert from "node:assert/strict";
import { readGate } from "../../../migrate/data/cutover/gate.ts";
import { mongod } from "../support/sources.ts";
import { type Case, runCases, startGateRig, unaccept } from "./gate_rig.ts";
import { keep } from "./rig.ts";

const process = (changes: string) => `update migration.front_processes set ${changes}`;

const cases: Case[] = [
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
  {
    name: "process_present",
    what: "a front and an own proxy would both hold the writes",
    options: { proxy: { way: "confirmed" } },
    says: /1 API process with a front, and your own proxy; start the API without LEGACY_API_URL/,
  },
];

Deno.test({
  name: "each state of this system that is not ready is refused by its own name, with what to do",
  ignore: !mongod,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const rig = await startGateRig(stack);
    await runCases(t, rig, cases);
    await t.step("schema_current: a step of the schema is missing", async () => {
      await rig.reset();
      await rig
        .pool`delete from migration.schema_steps where number = (select max(number) from migration.schema_steps)`;
      const { isReady, checks } = await readGate(rig, keep());
      assert.equal(isReady, false);
      assert.deepEqual(checks.map(({ name }) => name), ["schema_current"]);
    });
  },
});
