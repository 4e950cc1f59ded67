/** Finds imported rows, and subtasks of imported tasks, that no document of the source has. */
import type postgres from "postgres";
import { copyOut } from "../tools/copy.ts";
import type { FindParent } from "../lens/subtasks.ts";
import { type Collection, collections, type Range, type Source } from "../documents/source.ts";
import { mapDocument, tables, tryFastPath } from "../lens/tables.ts";
import type { OnMismatch } from "./mismatch.ts";

const extraRowsMax = 1000;

/**
 * Queries for the rows that must have a document. The new system adds subtasks only to its own tasks, so each subtask
 * of an imported task must have one.
 */
const candidates: Record<Collection, string> = {
  users: "select id, legacy_id from users where generation is not null",
  tasks: "select id, legacy_id from tasks where generation is not null",
  dramatiq_tasks: `
    select s.id, s.legacy_id
    from subtasks s
    where s.generation is not null
      or exists (select from tasks t where t.id = s.parent_task_id and t.generation is not null)`,
};

/** Returns the ids of the rows of all documents in some ranges. */
async function readIds(source: Source, ranges: Range[], findParent: FindParent): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const range of ranges) {
    for (const raw of await source.read(range)) {
      const fast = tryFastPath(range.collection, raw, findParent);
      if (fast) {
        ids.add(fast.id);
        continue;
      }
      const mapped = mapDocument(range.collection, raw, findParent);
      if (!("rejected" in mapped)) ids.add(mapped.row.id!);
    }
  }
  return ids;
}

/** Returns the number of rows that other sources have, according to the ledger. */
async function countOthers(
  sql: postgres.ReservedSql,
  fingerprint: string,
  collection: Collection,
): Promise<number> {
  const [row] = await sql`
    select coalesce(sum(exact + adjusted), 0)::float8 as rows
    from migration.ranges
    where fingerprint <> ${fingerprint} and collection = ${collection}`;
  return Number(row?.rows ?? 0);
}

export interface ExtraRowsOptions {
  fingerprint: string;
  ranges: Range[];
  /** Number of compared rows by collection. */
  comparedRows: ReadonlyMap<Collection, number>;
  findParent: FindParent;
  onMismatch: OnMismatch;
}

/**
 * Reports extra rows. Reads the ids of all documents only if a table has more rows than the ledger and the comparison
 * account for.
 */
export async function findExtraRows(
  sql: postgres.ReservedSql,
  source: Source,
  { fingerprint, ranges, comparedRows, findParent, onMismatch }: ExtraRowsOptions,
): Promise<void> {
  for (const collection of collections) {
    const [row] = await sql.unsafe(`select count(*)::float8 as rows from (${candidates[collection]}) as c`);
    const others = await countOthers(sql, fingerprint, collection);
    if (Number(row?.rows ?? 0) <= (comparedRows.get(collection) ?? 0) + others) continue;
    const ids = await readIds(source, ranges.filter((range) => range.collection === collection), findParent);
    let unknown = 0;
    let lines: string[] = [];
    for await (const line of copyOut(sql, `copy (${candidates[collection]}) to stdout`)) {
      if (ids.has(line.slice(0, 36))) continue;
      unknown++;
      if (lines.length < extraRowsMax) lines.push(line);
    }
    // Rows of other sources are unknown too, so in that case only the number of extra rows is certain.
    if (others > 0 && unknown > others) lines = [`(one of ${unknown - others})\t`];
    for (const line of lines) {
      const [id, legacyId] = line.split("\t");
      onMismatch({
        collection,
        document_id: legacyId ?? "",
        kind: "extra_row",
        path: "",
        source_value: null,
        row_value: `${tables[collection].name} row ${id}`,
        cause: "outside_writer",
      });
    }
  }
}
