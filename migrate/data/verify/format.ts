/** Text output of `data verify`. */
import { formatCount, formatCounted, formatTable } from "../tools/format.ts";
import type { Mismatch } from "./mismatch.ts";
import type { Verdict } from "./result.ts";
import { counted, inflect } from "../../../phrases.ts";

const rowsMax = 50;

/** Returns the verdict as text. */
export function formatVerdict(verdict: Verdict): string {
  const { documents, rows, quarantined, differences, mismatches, resumed } = verdict;
  const lines: string[] = [];
  if (resumed) {
    lines.push(
      `continued an interrupted run: ${resumed.ranges} of ${counted(resumed.of, "range")} ${
        inflect(resumed.ranges, "was", "were")
      } compared since ${resumed.since}`,
    );
  }
  lines.push(
    `${formatCounted(documents, "document")}: ${formatCount(rows)} compared with ${
      inflect(rows, "its row", "their rows")
    }, ` +
      `${formatCount(quarantined)} in quarantine`,
  );
  return [...lines, ...formatMismatches(differences, mismatches)].join("\n");
}

/** Returns the lines that tell the differences, or that there is none. */
export function formatMismatches(differences: number, mismatches: readonly Mismatch[]): string[] {
  if (differences === 0) return ["equal: no difference"];
  const shown = mismatches.slice(0, rowsMax).map((mismatch) => [
    mismatch.collection,
    mismatch.document_id,
    mismatch.kind,
    mismatch.path,
    mismatch.source_value ?? "",
    mismatch.row_value ?? "",
    mismatch.cause,
  ]);
  const lines = [formatTable(["collection", "_id", "difference", "path", "source", "row", "cause"], shown)];
  if (differences > rowsMax) lines.push(`… and ${formatCount(differences - rowsMax)} more`);
  return [...lines, `DIFFERENT: ${formatCounted(differences, "difference")}`];
}
