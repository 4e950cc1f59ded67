/** Names of the points at which tests kill the migrator. */
import { listenToFailpoints, passFailpoint } from "../../../failpoints.ts";

const atRest = [
  "load.schema_checked",
  "load.lock_acquired",
  "survey.begun",
  "survey.document",
  "survey.collection_done",
  "plan.made",
  "plan.begun",
  "plan.source_inserted",
  "plan.ranges_inserted",
  "deferred.locked",
  "deferred.dropped",
  "plan.before_commit",
  "plan.committed",
  "run.inserted",
  "bloom.filled",
  "range.write_begun",
  "range.prepared",
  "range.read",
  "range.document",
  "range.transformed",
  "merge.begun",
  "merge.inserted",
  "merge.done",
  "entries.quarantined",
  "entries.originals",
  "entries.adjusted",
  "entries.excluded",
  "copy.begun",
  "copy.chunk_sent",
  "copy.ended",
  "range.checkpointed",
  "range.before_commit",
  "range.commit_sent",
  "range.committed",
  "ranges.done",
  "deferred.created",
  "deferred.recreated",
  "settle.begun",
  "settle.counted",
  "settle.closed",
  "settle.analyzed",
  "settle.commit_sent",
  "settle.committed",
  "load.lock_released",
  "unfinished.begun",
  "unfinished.subtasks_moved",
  "unfinished.before_commit",
  "unfinished.committed",
  "verify.planned",
  "verify.begun",
  "verify.digested",
  "verify.explained",
  "verify.compared",
  "verify.range_saved",
  "verify.extra_begun",
  "verify.inserted",
  "verify.before_commit",
  "verify.committed",
  "repair.planned",
  "repair.begun",
  "repair.step_applied",
  "repair.step_logged",
  "repair.recounted",
  "repair.committed",
  "undo.begun",
  "undo.step_undone",
  "undo.recounted",
  "undo.committed",
  "replay.begun",
  "replay.inserted",
  "replay.recorded",
  "replay.settled",
  "replay.committed",
  "backup.folder_made",
  "backup.snapshot_taken",
  "backup.table_packed",
  "backup.collection_packed",
  "backup.before_manifest",
  "backup.done",
  "restore.checked",
  "restore.emptied",
  "restore.filled",
  "restore.before_commit",
  "restore.committed",
] as const;

const following = [
  "sync.lease_acquired",
  "sync.before_start",
  "sync.started",
  "sync.session_opened",
  "sync.parents_read",
  "copy_all.page_read",
  "copy_all.mapped",
  "copy_all.begun",
  "copy_all.rows_copied",
  "copy_all.entries_written",
  "copy_all.range_stored",
  "copy_all.committed",
  "copy_all.conflict",
  "copy_all.collection_done",
  "copy_all.indexes_recreated",
  "copy_all.counted",
  "copy_all.index_created",
  "copy_all.before_following",
  "copy_all.following",
  "stream.opened",
  "stream.events_read",
  "stream.documents_read",
  "sync.begun",
  "sync.checked",
  "sync.rows_found",
  "sync.entries_deleted",
  "sync.subtasks_kept",
  "sync.rows_deleted",
  "sync.conflicts_resolved",
  "sync.revisions_raised",
  "sync.staged",
  "sync.rows_updated",
  "sync.rows_upserted",
  "sync.row_refused",
  "sync.rows_written",
  "sync.entries_written",
  "sync.users_applied",
  "sync.tasks_applied",
  "sync.dramatiq_tasks_applied",
  "sync.waiting_read",
  "sync.owners_linked",
  "sync.counted",
  "sync.announced",
  "sync.position_stored",
  "sync.before_commit",
  "sync.commit_sent",
  "sync.committed",
  "sync.part_applied",
  "sync.retried",
  "sync.caught_up",
  "gap.opened",
  "gap.begun",
  "gap.source_read",
  "gap.rows_read",
  "gap.compared",
  "gap.applied",
  "gap.collection_done",
  "gap.superseded",
  "gap.closed",
  "poll.read",
  "sync.stopped",
] as const;

const comparing = [
  "live.checked",
  "live.begun",
  "live.page_read",
  "live.target_read",
  "live.page_compared",
  "live.before_commit",
  "live.committed",
  "live.rest_read",
  "live.collection_done",
  "live.due_listed",
  "live.documents_read",
  "live.equal_removed",
  "live.rechecks_updated",
  "live.rechecks_committed",
  "live.decided",
  "live.before_finish",
  "live.finished",
] as const;

const backward = [
  "back.opened",
  "back.checked",
  "back.lease_acquired",
  "back.started",
  "back.session_opened",
  "back.changes_read",
  "back.rows_read",
  "back.documents_made",
  "back.before_command",
  "back.command_sent",
  "back.command_answered",
  "back.emails_released",
  "back.users_written",
  "back.tasks_written",
  "back.dramatiq_tasks_written",
  "back.before_deletions",
  "back.dramatiq_tasks_deleted",
  "back.tasks_deleted",
  "back.users_deleted",
  "back.begun",
  "back.changes_deleted",
  "back.state_saved",
  "back.before_commit",
  "back.commit_sent",
  "back.committed",
  "back.refused_kept",
  "back.caught_up",
  "back.ended",
] as const;

const forwardSteps = [
  "drain",
  "compare",
  "hold",
  "freeze",
  "catch_up",
  "recheck",
  "back_on",
  "switch",
  "start",
] as const;
const returnSteps = ["stop", "drain_back", "unblock", "return"] as const;

/** Steps of a cut-over, those that only a rollback has, and those with a proxy of the operator. */
export type SwitchStep =
  | (typeof forwardSteps)[number]
  | (typeof returnSteps)[number]
  | "point";

const marksOf = <Step extends SwitchStep>(steps: readonly Step[]) =>
  steps.flatMap((step) => [`${step}.begun` as const, `${step}.done` as const]);

const switching = [
  "cutover.gate_passed",
  "cutover.begun",
  ...marksOf(forwardSteps),
  "hold.changed",
  "hold.in_force",
  "freeze.requested",
  "recheck.compared",
  "switch.locked",
  "switch.sync_ended",
  "switch.captured",
  "switch.phase_set",
  "switch.before_commit",
  "switch.committed",
  "start.admitted",
  "cutover.ended",
] as const;

const returning = [
  "rollback.gate_passed",
  "rollback.begun",
  ...marksOf(returnSteps),
  "return.drained",
  "return.follow_set",
  "return.before_commit",
  "return.committed",
  "rollback.ended",
] as const;

const pointing = ["point.begun", "point.done", "proxy.asked"] as const;

const undoing = [
  "undo.begun",
  "thaw.requested",
  "undo.step_undone",
  "undo.before_end",
  "undo.ended",
] as const;

export type Failpoint =
  | (typeof atRest)[number]
  | (typeof following)[number]
  | (typeof comparing)[number]
  | (typeof backward)[number]
  | (typeof switching)[number]
  | (typeof returning)[number]
  | (typeof pointing)[number]
  | (typeof undoing)[number];

/** The failpoints of load, verify, repair, replay, backup and restore, in the order in which these reach them. */
export const failpoints: readonly Failpoint[] = atRest;
/** The failpoints of `sync`. */
export const syncFailpoints: readonly Failpoint[] = following;
/** The failpoints of `verify --live`. */
export const liveFailpoints: readonly Failpoint[] = comparing;
/** The failpoints of `back`. */
export const backFailpoints: readonly Failpoint[] = backward;
/** The failpoints of `cutover`. */
export const switchFailpoints: readonly Failpoint[] = switching;
/** The failpoints of `rollback`, which passes those of the hold as well. */
export const rollbackFailpoints: readonly Failpoint[] = returning;
/** The failpoints of undoing either. */
export const undoFailpoints: readonly Failpoint[] = undoing;

/** Sets the function that is called at every failpoint. Only tests call it. */
export function onFailpoint(listener: (name: Failpoint) => void): void {
  listenToFailpoints(listener as (name: string) => void);
}

/** Marks a failpoint. */
export function failpoint(name: Failpoint): void {
  passFailpoint(name);
}
