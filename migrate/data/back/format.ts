/** Text output of `data back`, and its progress. */
import process from "node:process";
import { printError } from "../../../process.ts";
import { counted, inflect } from "../../../phrases.ts";
import { formatCount, formatCounted, formatSeconds, formatTable } from "../tools/format.ts";
import type { BatchReport } from "./back.ts";
import type { BackVerdict } from "./suspects.ts";
import type { RefusedRow } from "./writer.ts";

const reportMs = 1000;
const rowsMax = 50;

/** The result of a run. */
export interface BackResult {
  /** Changes that are done: a row that changed ten times may count ten times. */
  changes: number;
  /** Documents that were inserted, changed or deleted. */
  documents: number;
  refused: readonly RefusedRow[];
  /** Age of the oldest change of the last batch when it was read. */
  lag_ms: number;
  /** Changes that are left. */
  pending: number;
  /** True when a signal ended the run. */
  stopped: boolean;
  seconds: number;
}

/** Shows the progress of a run once a second: as a line on a terminal, elsewhere as JSON lines. */
export class BackReporter implements Disposable {
  changes = 0;
  documents = 0;
  lagMs = 0;
  #shown = "";
  readonly #timer: ReturnType<typeof setInterval> | undefined;

  constructor({ json, quiet }: { json: boolean; quiet: boolean }) {
    if (!quiet) this.#timer = setInterval(() => this.#show(json), reportMs);
  }

  add({ changes, documents, lagMs }: BatchReport): void {
    this.changes += changes;
    this.documents += documents;
    this.lagMs = lagMs;
  }

  #show(json: boolean): void {
    const { changes, documents } = this;
    const lag_ms = Math.round(this.lagMs);
    const text = json || !process.stderr.isTTY
      ? JSON.stringify({ stage: "writing back", changes, documents, lag_ms })
      : `writing back: ${formatCounted(changes, "change")}, ${formatCounted(documents, "document")}, lag ${
        formatSeconds(lag_ms / 1000)
      }`;
    // Nothing new, nothing to say.
    if (text !== this.#shown) printError(text);
    this.#shown = text;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Returns the result of a run as text. */
export function formatBack({ changes, documents, refused, pending, stopped }: BackResult): string {
  const how = stopped
    ? "stopped on request; run the same command again to continue"
    : "everything is written";
  const lines = [
    `${refused.length > 0 ? "not everything is written" : how}: ${
      formatCounted(changes, "change")
    } applied, ` +
    `${formatCounted(documents, "document")} changed in MongoDB, ${formatCount(pending)} left`,
  ];
  if (refused.length > 0) {
    const rows = refused.slice(0, rowsMax).map(({ collection, key, reason }) => [collection, key, reason]);
    lines.push(formatTable(["collection", "row", "MongoDB refuses it"], rows));
  }
  return lines.join("\n");
}

/** Returns a verdict as text. */
export function formatBackVerdict(verdict: BackVerdict): string {
  const { documents, rows, kept, pending, differences, mismatches } = verdict;
  const lines = [
    `${formatCounted(documents, "document")} compared byte for byte with ${formatCounted(rows, "row")}; ${
      formatCount(kept)
    } ${inflect(kept, "waits or is", "wait or are")} in quarantine` +
    (pending > 0 ? `; ${counted(pending, "change")} not written yet` : ""),
  ];
  if (differences === 0) return [...lines, "equal: no difference"].join("\n");
  const shown = mismatches.slice(0, rowsMax).map((mismatch) => [
    mismatch.collection,
    mismatch.document_id,
    mismatch.kind,
    mismatch.path,
    mismatch.document_value ?? "",
    mismatch.row_value ?? "",
    mismatch.cause,
  ]);
  lines.push(formatTable(["collection", "_id", "difference", "path", "MongoDB", "row", "cause"], shown));
  if (differences > rowsMax) lines.push(`… and ${formatCount(differences - rowsMax)} more`);
  return [...lines, `DIFFERENT: ${formatCounted(differences, "difference")}`].join("\n");
}
