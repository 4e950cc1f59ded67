/** Results of the switch as text. */
import { counted } from "../../../phrases.ts";
import { formatCount, formatSpan, formatTable } from "../tools/format.ts";
import type { Check } from "./check.ts";
import type { Continued } from "./continue.ts";
import type { CutoverResult } from "./cutover.ts";
import type { Remaining, RollbackResult } from "./rollback.ts";

const stateTexts: Record<Check["state"], string> = {
  ready: "ready",
  accepted: "accepted",
  not_ready: "NOT READY",
  unknown: "NOT KNOWN",
};

/** Lists all checks. */
export function formatGate(checks: readonly Check[]): string {
  const table = formatTable(
    ["check", "state", "found"],
    checks.map(({ name, state, found }) => [name, stateTexts[state], found]),
  );
  const open = checks.filter(({ todo }) => todo !== "");
  if (open.length === 0) return `${table}\nready`;
  return [table, "", "to do:", ...open.map(({ name, todo }) => `  ${name}: ${todo}`)].join("\n");
}

const formatMs = (ms: number): string => `${formatCount(Math.round(ms))} ms`;

/** Describes a cut-over or rehearsal. */
export function formatCutover(result: CutoverResult): string {
  const {
    id,
    kind,
    pause_ms,
    pause_predicted_ms,
    documents_rechecked,
    under_way,
    under_way_total,
    next_command,
    start,
  } = result;
  const lines = kind === "cutover"
    ? [`cut-over ${id} is done: this system is in charge`, `writes waited for ${formatMs(pause_ms)}`]
    : [`rehearsal ${id}: everything is as before`, `predicted pause: ${formatMs(pause_ms)}`];
  if (pause_predicted_ms !== null) {
    lines.push(`predicted by the last rehearsal: ${formatMs(pause_predicted_ms)}`);
  }
  lines.push(
    `compared again: ${counted(documents_rechecked, "document")} that changed since the verification`,
  );
  if (under_way.length > 0) {
    lines.push(
      `the old executor had ${
        counted(under_way_total, "cell")
      } under way, each of which may be drawn and paid for again:`,
      ...under_way.slice(0, 10).map(({ task, subtask, seconds }) =>
        `  task ${task}, subtask ${subtask}, changed ${formatSpan(seconds)} before`
      ),
    );
  }
  if (start.mongodb_blocked) lines.push("MongoDB takes writes only from the account of the way back");
  lines.push(`next: ${next_command}`);
  return lines.join("\n");
}

const formatRemaining = ({ ratings, votes, evaluations, shares }: Remaining): string =>
  `stay in PostgreSQL, and are there again after the next cut-over: ${counted(ratings, "rating")}, ${
    counted(votes, "vote")
  }, ${counted(evaluations, "evaluation")}, ${counted(shares, "share")}`;

/** Describes a rollback. */
export function formatRollback(
  { id, pause_ms, remaining, cells_stopped, next_command }: RollbackResult,
): string {
  return [
    `rollback ${id} is done: the old backend is in charge`,
    `writes waited for ${formatMs(pause_ms)}`,
    formatRemaining(remaining),
    ...(cells_stopped > 0 ? [`${counted(cells_stopped, "cell")} under way here will be drawn again`] : []),
    `next: ${next_command}`,
  ].join("\n");
}

/** Describes what a rollback would do. */
export const formatDryRun = ({ checks, remaining }: { checks: Check[]; remaining: Remaining }): string =>
  `${formatGate(checks)}\n${formatRemaining(remaining)}`;

/** Describes what `--continue` did. */
export function formatContinued(continued: Continued): string {
  if (continued.did === "cutover") return formatCutover(continued.result);
  if (continued.did === "rollback") return formatRollback(continued.result);
  if (continued.did === "aborted") return `rehearsal ${continued.id} is undone: everything is as before`;
  return `${continued.kind} ${continued.id} has ended: ${
    continued.kind === "rollback" ? "the old backend" : "this system"
  } is in charge`;
}
