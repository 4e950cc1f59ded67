/** Text output of repairs and replays. */
import { formatCount, formatCounted, formatTable } from "../tools/format.ts";
import type { RepairPlan, UnrepairedDifference } from "./step.ts";
import type { RepairResult } from "./repair.ts";
import type { ReplayResult } from "./replay.ts";
import type { UndoResult } from "./undo.ts";
import { inflect } from "../../../phrases.ts";

const rowsMax = 50;
const pathsMax = 5;

function formatUnrepaired(differences: UnrepairedDifference[]): string[] {
  if (differences.length === 0) return [];
  const rows = differences.slice(0, rowsMax).map((
    one,
  ) => [one.collection, one.document_id, one.kind, one.why]);
  return ["", formatTable(["not repaired", "_id", "difference", "reason"], rows)];
}

/** Returns a plan as text. */
export function formatPlan({ plan, differences, steps, left, more }: RepairPlan): string {
  if (differences === 0) return "equal: nothing to repair";
  const lines: string[] = [];
  if (steps.length > 0) {
    const rows = steps.slice(0, rowsMax).map(({ action, collection, document_id, paths }) => [
      action,
      collection,
      document_id,
      paths.slice(0, pathsMax).join(", "),
    ]);
    lines.push(formatTable(["step", "collection", "_id", "fields"], rows));
  }
  if (steps.length > rowsMax) lines.push(`… and ${formatCount(steps.length - rowsMax)} more`);
  lines.push(...formatUnrepaired(left));
  lines.push(
    "",
    `plan ${plan}: ${formatCounted(steps.length, "step")}, ${formatCount(left.length)} not repaired`,
  );
  if (more > 0) {
    lines.push(
      `${formatCounted(more, "more difference")} ${inflect(more, "is", "are")} left for the next plan`,
    );
  }
  return lines.join("\n").trimStart();
}

/** Returns the result of a repair as text. */
export function formatRepair({ plan, applied, skipped }: RepairResult): string {
  const lines = skipped.map(({ action, collection, document_id, why }) =>
    `skipped: ${action} ${collection} ${document_id}: ${why}`
  );
  lines.push(
    `plan ${plan}: ${formatCounted(applied, "step")} applied, ${formatCount(skipped.length)} skipped`,
  );
  if (applied > 0) lines.push(`to undo it: deno task migrate data repair --undo ${plan}`);
  return lines.join("\n");
}

/** Returns the result of an undo as text. */
export function formatUndo({ plan, undone, skipped }: UndoResult): string {
  const lines = skipped.map(({ collection, document_id }) =>
    `skipped: ${collection} ${document_id}: the row was changed after the repair`
  );
  lines.push(`plan ${plan}: ${formatCounted(undone, "step")} undone`);
  return lines.join("\n");
}

/** Returns the result of a replay as text. */
export function formatReplay({ applied, documents, loaded, stay, followed, groups }: ReplayResult): string {
  const left = `${formatCounted(followed, "document")} of the followed source: 'sync' tries ${
    inflect(followed, "it", "them")
  } again when it starts`;
  if (documents === 0) return followed > 0 ? left : "no quarantined document matches";
  const loadedHead = applied ? "got a row" : "would get a row";
  const table = formatTable(
    ["collection", "reason before", "path", "documents", loadedHead, "already present", "stay with reason"],
    groups.map((group) => [
      group.collection,
      group.reason,
      group.path,
      group.documents,
      group.loaded,
      group.present,
      Object.entries(group.stay).map(([reason, count]) => `${reason} ${formatCount(count)}`).join(", "),
    ]),
  );
  const share = `${formatCount(loaded)} of ${formatCount(documents)}`;
  const summary = applied
    ? `${share} got a row, ${formatCount(stay)} ${inflect(stay, "stays", "stay")}`
    : `${share} would get a row, ${
      formatCount(stay)
    } would stay; nothing was changed, add --apply to load them`;
  return [table, "", summary, ...(followed > 0 ? [left] : [])].join("\n");
}
