/** Rows that say they came from a document, or hang on one that did, and that no document of the source has. */
import type postgres from "postgres";
import { copyOut } from "../tools/copy.ts";
import { toUsualLine } from "../lens/fast_subtask.ts";
import type { FindParent } from "../lens/subtasks.ts";
import { type Collection, collections, type Range, type Source } from "../documents/source.ts";
import { tables, take } from "../lens/tables.ts";
import type { Mismatch } from "./mismatch.ts";

// A subtask born here belongs to a task born here: under an imported task it is someone else's.
const candidates: Record<Collection, string> = {
  users: "select id, legacy_id from users where generation is not null",
  tasks: "select id, legacy_id from tasks where generation is not null",
  dramatiq_tasks: `
    select s.id, s.legacy_id from subtasks s
    where s.generation is not null
      or exists (select from tasks t where t.id = s.parent_task_id and t.generation is not null)`,
};

/** Ids of rows that the documents of a collection become. */
async function readIds(source: Source, ranges: Range[], findParent: FindParent): Promise<Set<string>> {
  const ids = new Set<string>();
  for (const range of ranges) {
    for (const raw of await source.read(range)) {
      const usual = raw.line !== undefined && range.collection === "dramatiq_tasks"
        ? toUsualLine(raw.line, findParent)
        : undefined;
      if (usual) ids.add(usual.id);
      else {
        const taken = take(range.collection, raw, findParent);
        if (!("rejected" in taken)) ids.add(taken.row.id!);
      }
    }
  }
  return ids;
}

/** Rows that other sources brought, by the ledger. */
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

/** Reports rows past those that were compared (`rowsOf`), one by one; flat in memory where there are none. */
export async function findExtraRows(
  sql: postgres.ReservedSql,
  source: Source,
  { fingerprint, ranges, rowsOf, findParent, note }: {
    fingerprint: string;
    ranges: Range[];
    rowsOf: ReadonlyMap<Collection, number>;
    findParent: FindParent;
    note: (mismatch: Mismatch) => void;
  },
): Promise<void> {
  for (const collection of collections) {
    const [row] = await sql.unsafe(`select count(*)::float8 as rows from (${candidates[collection]}) as c`);
    const others = await countOthers(sql, fingerprint, collection);
    if (Number(row?.rows ?? 0) <= (rowsOf.get(collection) ?? 0) + others) continue;
    const ids = await readIds(source, ranges.filter((range) => range.collection === collection), findParent);
    let unknown = 0;
    const statement = `copy (${candidates[collection]}) to stdout`;
    const found: string[] = [];
    for await (const line of copyOut(sql, statement)) {
      if (ids.has(line.slice(0, 36))) continue;
      unknown++;
      if (found.length < 1000) found.push(line);
    }
    // With other sources in the same tables a row of theirs is unknown here, too: only the number is sure.
    if (others > 0 && unknown > others) found.splice(0, found.length, `(one of ${unknown - others})\t`);
    for (const line of found) {
      const [id, legacyId] = line.split("\t");
      note({
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
