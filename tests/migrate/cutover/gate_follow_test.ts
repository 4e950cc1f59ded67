/** The gate refuses every state of the sync, of its position and of the verification that is not ready. */
import assert from "node:assert/strict";
import { saveAcceptances } from "../../../migrate/data/cutover/decisions.ts";
import { readGate } from "../../../migrate/data/cutover/gate.ts";
import { mongod } from "../support/sources.ts";
import { type Case, changed, runCases, startGateRig, unaccept } from "./gate_rig.ts";
import { keep } from "./rig.ts";

const neverVerified = ["verified_equal", "verified_recently", "verified_source", "verified_after_gap"];
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
];

Deno.test({
  name: "each state of the sync and the verification that is not ready is refused by its own name",
  ignore: !mongod,
  async fn(t) {
    await using stack = new AsyncDisposableStack();
    const rig = await startGateRig(stack);
    await runCases(t, rig, cases);
  },
});
