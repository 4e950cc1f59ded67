/** The result of a live verification. */
import type { Sql } from "../../../db/pg/connect.ts";
import { counted, inflect } from "../../../phrases.ts";
import { failpoint } from "../tools/failpoint.ts";
import { formatCount, formatCounted } from "../tools/format.ts";
import { formatMismatches } from "./format.ts";
import { changesMax, comparisonsMax, type LiveVerification } from "./live_store.ts";
import type { Mismatch } from "./mismatch.ts";
import { mismatchesMax } from "./result.ts";

export interface LiveVerdict {
  fingerprint: string;
  verdict: "equal" | "different";
  documents: number;
  /** Rows that were compared with their documents. */
  rows: number;
  quarantined: number;
  waiting: number;
  /** Documents that were compared again because they differed at first. */
  rechecked: number;
  /** Documents that had changed again at each of many comparisons. */
  changing: number;
  differences: number;
  /** The first thousand differences. */
  mismatches: Mismatch[];
  /** Start of the first run, if an interrupted verification was continued; null for a single run. */
  resumed: { since: string } | null;
}

/** Counts the documents that must be compared again. */
export async function countUndecided(sql: Sql, id: string): Promise<number> {
  const [row] = await sql`
    select count(*)::float8 as n
    from migration.rechecks
    where verification_id = ${id} and comparisons < ${comparisonsMax} and changes < ${changesMax}`;
  return row!.n;
}

type Difference = Omit<Mismatch, "collection" | "document_id">;

/** Lists the differences of all documents that count as different, and counts them. */
async function readDifferences(
  sql: Sql,
  id: string,
): Promise<{ mismatches: Mismatch[]; differences: number }> {
  const rows = sql<{ collection: string; document_id: string; differences: Difference[] }[]>`
    select collection, document_id, differences
    from migration.rechecks
    where verification_id = ${id} and comparisons >= ${comparisonsMax}
    order by array_position(array['users', 'tasks', 'dramatiq_tasks'], collection) desc, document_id`;
  const mismatches: Mismatch[] = [];
  let differences = 0;
  let hasSubtasks = false;
  await rows.cursor(500, (part) => {
    for (const { collection, document_id, differences: list } of part) {
      if (collection === "dramatiq_tasks") hasSubtasks = true;
      for (const { kind, path, source_value, row_value, cause } of list) {
        // If subtasks differ, wrong counters are a consequence and are not reported again.
        if (hasSubtasks && kind === "derived_changed" && path !== "(column owner_id)") continue;
        differences++;
        if (mismatches.length >= mismatchesMax) continue;
        mismatches.push({ collection, document_id, kind, path, source_value, row_value, cause });
      }
    }
  });
  return { mismatches, differences };
}

/** Stores the result of a verification and returns it. */
export async function finishLiveVerification(
  sql: Sql,
  { id, since, isResumed }: LiveVerification,
): Promise<LiveVerdict> {
  const { mismatches, differences } = await readDifferences(sql, id);
  const verdict = differences === 0 ? "equal" : "different";
  failpoint("live.before_finish");
  const [row] = await sql`
    update migration.live_verifications v
    set ended_at = now(), differences = ${differences}, verdict = ${verdict}, changing = r.changing
    from (
      select count(*) as changing
      from migration.rechecks
      where verification_id = ${id} and comparisons < ${comparisonsMax}
    ) as r
    where v.id = ${id}
    returning v.fingerprint, v.documents::float8, v.rows::float8, v.quarantined::float8, v.waiting::float8,
      v.rechecked::float8, v.changing::float8`;
  failpoint("live.finished");
  const { fingerprint, documents, rows, quarantined, waiting, rechecked, changing } = row!;
  return {
    fingerprint,
    verdict,
    documents,
    rows,
    quarantined,
    waiting,
    rechecked,
    changing,
    differences,
    mismatches,
    resumed: isResumed ? { since } : null,
  };
}

/** Returns the verdict as text. */
export function formatLiveVerdict(verdict: LiveVerdict): string {
  const { documents, rows, quarantined, waiting, rechecked, changing, differences, mismatches, resumed } =
    verdict;
  const lines: string[] = [];
  if (resumed) lines.push(`continued an interrupted run of ${resumed.since}`);
  lines.push(
    `${formatCounted(documents, "document")}: ${formatCount(rows)} compared with ${
      inflect(rows, "its row", "their rows")
    }, ${formatCount(quarantined)} in quarantine, ${formatCount(waiting)} waiting`,
  );
  if (rechecked > 0) {
    lines.push(
      `${formatCounted(rechecked, "document")} differed at first and ${
        inflect(rechecked, "was", "were")
      } compared again`,
    );
  }
  if (changing > 0) {
    lines.push(
      `${counted(changing, "document")} changed at every comparison, so sync writes ${
        inflect(changing, "its row", "their rows")
      } anew all the time`,
    );
  }
  return [...lines, ...formatMismatches(differences, mismatches)].join("\n");
}
