/** The stages of a move, and their state as the data tells it. A recorded decision alone does not complete a stage. */
import { rehearsedSecondsMax } from "../../../db/migration/journal.ts";
import type { Check } from "../cutover/check.ts";
import { counted } from "../../../phrases.ts";
import { formatCounted, formatSpan } from "../tools/format.ts";
import { type MoveContext, type MoveSettings, type StageName, stageNames } from "./context.ts";
import type { Facts, TargetState } from "./facts.ts";

export interface Stage {
  name: StageName;
  state: "done" | "open";
  /** What was found, in a few words. */
  found: string;
}

type Verdict = [isDone: boolean, found: string];

/** Checks of the gate that each stage makes ready. The rehearsal wants all of them. */
export const stageChecks = {
  backup: ["backup_taken", "backup_recent", "backup_restored"],
  sync: [
    "sync_begun",
    "sync_mode",
    "sync_not_stopped",
    "sync_not_ended",
    "copy_complete",
    "gap_closed",
    "sync_running",
  ],
  verify: [
    "verified",
    "verified_equal",
    "verified_recently",
    "verified_source",
    "verified_after_gap",
    "waiting_accepted",
    "quarantine_accepted",
  ],
  front: [
    "old_backend_named",
    "old_backend_up",
    "key_accepted",
    "process_present",
    "process_alive",
    "process_version",
    "process_key",
    "process_acknowledged",
  ],
  shadow: ["shadow_compared", "shadow_explained"],
  watch: ["capture_on", "back_running", "back_not_stopped", "back_lag"],
} as const satisfies Record<string, readonly string[]>;

export const isPassed = ({ state }: Check): boolean => state === "ready" || state === "accepted";

/** Returns the checks of these names that are not passed. */
export const listOpen = (checks: ReadonlyMap<string, Check>, names: readonly string[]): Check[] =>
  names.flatMap((name) => {
    const check = checks.get(name);
    return check === undefined || isPassed(check) ? [] : [check];
  });

/** Checks whose failure makes others fail, which then need not be shown. */
const causes: ReadonlySet<string> = new Set(["backup_taken", "sync_begun", "sync_running", "verified"]);

/** Returns the check that causes the others to fail, if there is one; otherwise all. */
export function firstCauses(open: readonly Check[]): Check[] {
  const cause = open.find(({ name }) => causes.has(name));
  return cause === undefined ? [...open] : [cause];
}

const describeOpen = (open: readonly Check[]): string =>
  open.slice(0, 2).map(({ name, found }) => `${name}: ${found}`).join("; ") +
  (open.length > 2 ? `; and ${open.length - 2} more` : "");

function judgeChecks({ checks }: TargetState, names: readonly string[], found: string): Verdict {
  const open = listOpen(checks, names);
  return open.length === 0 ? [true, found] : [false, describeOpen(firstCauses(open))];
}

const secondsSince = ({ nowMs }: TargetState, at: string): number =>
  Math.max(0, (nowMs - Date.parse(at)) / 1000);

/** Returns for how long at least `share` percent of the users have read here, in seconds; undefined if they do not. */
export function readSoakSeconds(target: TargetState, share: number): number | undefined {
  let since: string | undefined;
  for (const { phase_after, share_after, at } of target.changes) {
    // A rehearsal holds writes briefly and keeps the phase.
    if (phase_after === "holding") continue;
    if (phase_after !== "canary" || share_after < share) break;
    since = at;
  }
  return since === undefined ? undefined : secondsSince(target, since);
}

function judgeCanary(target: TargetState, share: number, { soakMs }: MoveSettings): Verdict {
  const seconds = readSoakSeconds(target, share);
  if (seconds === undefined) return [false, `fewer than ${share} % of the users read here`];
  const found = `at least ${share} % of the users read here since ${formatSpan(seconds)}`;
  // Going on after the watch counts as the decision.
  return [seconds * 1000 >= soakMs || target.traffic.share > share, found];
}

/** The last one of a kind that has ended well. */
const findDone = ({ cutovers }: TargetState, kind: string) =>
  cutovers.find((row) => row.kind === kind && row.state === "done");

function judgeRehearsal(target: TargetState): Verdict {
  const rehearsal = findDone(target, "rehearsal");
  if (rehearsal === undefined) return [false, "not rehearsed"];
  const seconds = secondsSince(target, rehearsal.ended_at!);
  const found = `predicted pause ${rehearsal.pause_ms} ms, ${
    formatSpan(seconds)
  } ago, by ${rehearsal.started_by}`;
  const rollback = findDone(target, "rollback");
  if (rollback && rollback.id > rehearsal.id) return [false, "not rehearsed since the rollback"];
  if (seconds > rehearsedSecondsMax) return [false, `${found}: too long ago`];
  const open = listOpen(target.checks, [...target.checks.keys()]);
  // This check becomes ready by itself once the sync has caught up.
  const lasting = open.filter(({ name }) => name !== "sync_lag");
  return lasting.length === 0 ? [true, found] : [false, describeOpen(lasting)];
}

function judgeCutover(target: TargetState): Verdict {
  const { traffic: { phase, changed_by, changed_at } } = target;
  if (phase !== "new") {
    const rollback = findDone(target, "rollback");
    const back = rollback === undefined ? "" : `, after a rollback by ${rollback.started_by}`;
    return [false, `the old backend is in charge${back}`];
  }
  const cutover = findDone(target, "cutover");
  const pause = cutover?.pause_ms == null ? "" : `, paused for ${cutover.pause_ms} ms`;
  return [true, `this system is in charge since ${changed_at.slice(0, 19)}Z, by ${changed_by}${pause}`];
}

function judgeWatch(target: TargetState, { watchMs }: MoveSettings): Verdict {
  const { traffic, wayBack, backChecks } = target;
  if (traffic.phase !== "new") return [false, "after the cut-over"];
  if (!wayBack.is_captured) return [true, "the way back is given up"];
  const open = [...listOpen(backChecks, stageChecks.watch), ...listOpen(target.checks, ["worker_present"])];
  if (open.length > 0) return [false, describeOpen(open)];
  const seconds = secondsSince(target, traffic.changed_at);
  const found = `${formatSpan(seconds)} since the cut-over; ${
    formatCounted(wayBack.changes, "change")
  } not in MongoDB yet`;
  return [seconds * 1000 >= watchMs, found];
}

function judgeFinish({ traffic, wayBack }: TargetState): Verdict {
  if (traffic.phase !== "new") return [false, "after the cut-over"];
  return wayBack.is_captured
    ? [false, "the way back is open: changes are written to MongoDB"]
    : [true, "the way back is given up"];
}

function judgeAssess({ assessed, target }: Facts): Verdict {
  if (assessed === undefined) {
    return target?.following?.copied_at
      ? [true, "not needed: the copy is complete"]
      : [false, "not assessed"];
  }
  const { verdict, documents, accepted, by } = assessed;
  const isGo = verdict === "GO" || verdict === "WAIT" && accepted;
  return [
    isGo,
    `${verdict}${verdict === "WAIT" && accepted ? " (accepted)" : ""}, ${
      formatCounted(documents, "document")
    }, by ${by}`,
  ];
}

function judgeBackup(target: TargetState): Verdict {
  const stored = target.decisions.find(({ name }) => name === "backup");
  return judgeChecks(target, stageChecks.backup, `in '${stored?.value.folder ?? "?"}', restored as a test`);
}

function judgeShadow(target: TargetState): Verdict {
  const { phase } = target.traffic;
  const compared = target.checks.get("shadow_compared")?.found ?? "";
  const [isFront, found] = judgeChecks(target, stageChecks.front, "");
  if (!isFront) return [false, found];
  if (phase === "old") return [false, "the front compares no answers yet"];
  if (phase === "canary") return [true, `compared before; ${compared}`];
  return judgeChecks(target, stageChecks.shadow, compared);
}

function judge(name: StageName, facts: Facts, settings: MoveSettings): Verdict {
  const { target, schemaFault } = facts;
  if (name === "assess") return judgeAssess(facts);
  if (name === "schema") {
    const missing = /^not applied: (.*)$/.exec(schemaFault ?? "")?.[1]?.split(", ").length;
    const found = missing === undefined ? schemaFault : `not applied: ${counted(missing, "step")}`;
    return [schemaFault === undefined, found ?? "all steps are applied"];
  }
  if (target === undefined) {
    return [false, name === "backup" ? "there are no tables to save yet" : "after the schema"];
  }
  if (name === "cutover") return judgeCutover(target);
  if (name === "watch") return judgeWatch(target, settings);
  if (name === "finish") return judgeFinish(target);
  if (target.traffic.phase === "new") return [true, "this system is in charge"];
  const share = /^canary-(\d+)$/.exec(name)?.[1];
  if (share !== undefined) return judgeCanary(target, Number(share), settings);
  if (name === "backup") return judgeBackup(target);
  if (name === "rehearse") return judgeRehearsal(target);
  if (name === "shadow") return judgeShadow(target);
  const since = target.following?.process?.since.slice(0, 19);
  return name === "sync"
    ? judgeChecks(target, stageChecks.sync, `follows, process since ${since}Z`)
    : judgeChecks(target, stageChecks.verify, target.checks.get("verified_recently")?.found ?? "");
}

/** Returns the state of all stages. */
export function listStages(facts: Facts, { settings }: Pick<MoveContext, "settings">): Stage[] {
  return stageNames.map((name) => {
    const [isDone, found] = judge(name, facts, settings);
    return { name, state: isDone ? "done" : "open", found };
  });
}

/** Returns the next stage. A backup needs tables, so the schema comes first in an empty database. */
export const findNext = (stages: readonly Stage[], { target }: Facts): Stage | undefined =>
  stages.find(({ name, state }) => state === "open" && !(name === "backup" && target === undefined));
