/** Reads rows by key with all that their documents depend on. */
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { legacyIdOf } from "../documents/ids.ts";
import type { Collection } from "../documents/source.ts";
import type { BsonDocument } from "../documents/tree.ts";
import { parseOriginal } from "../ledger/original.ts";
import type { Row } from "../lens/draft.ts";
import { selectRows } from "../lens/select_rows.ts";
import { fieldsToRow, tables } from "../lens/tables.ts";
import { copyOut, decodeLine } from "../tools/copy.ts";
import type { SourceRow, TaskCounters } from "./documents.ts";

/** Columns behind those of the lens, for tasks. */
const counterColumns = ["subtasks_total", "subtasks_completed", "subtasks_failed"];
const recountedSql = "exists (select from migration.recounted_tasks r where r.task_id = t.id)";

/** Returns what to select behind the columns of the lens. */
const furtherOf = (collection: Collection): string[] =>
  collection === "tasks" ? [...counterColumns.map((column) => `t.${column}`), recountedSql] : [];

function readCounters(collection: Collection, fields: (string | null)[]): TaskCounters | undefined {
  if (collection !== "tasks") return undefined;
  const [total, completed, failed, isRecounted] = fields;
  return {
    total: Number(total),
    completed: Number(completed),
    failed: Number(failed),
    isRecounted: isRecounted === "t",
  };
}

/**
 * Finds the originals of rows, by the row's id. A subtask's id may occur in several tasks, so each candidate is compared
 * with the row by its `_id`.
 */
async function findOriginals(
  sql: Sql,
  collection: Collection,
  ids: readonly string[],
): Promise<Map<string, BsonDocument[]>> {
  const found = new Map<string, BsonDocument[]>();
  const rows = await sql<{ row_id: string; original: Uint8Array }[]>`
    select o.row_id::text as row_id, o.original
    from migration.originals o
    join migration.sources s using (fingerprint)
    where o.collection = ${collection} and o.row_id = any (${[...ids]}::uuid[])
    order by s.superseded_at is not null, o.document_id is null, s.planned_at desc, o.position desc`;
  for (const { row_id, original } of rows) {
    const documents = found.get(row_id) ?? [];
    documents.push(parseOriginal(0, original).read());
    found.set(row_id, documents);
  }
  return found;
}

const isOriginalOf = (collection: Collection, { legacy_id }: Row, document: BsonDocument) => {
  const id = document.get("_id");
  return id !== undefined && legacyIdOf(collection, id) === legacy_id;
};

/** Rows that are read at once. A task may have megabytes. */
const rowsAtOnce: Record<Collection, number> = { users: 500, tasks: 20, dramatiq_tasks: 200 };

/**
 * Reads the rows with these keys in the order of the keys, and leaves out those that do not exist.
 *
 * @param sql a session that nothing else uses meanwhile
 */
export async function* readRows(
  sql: postgres.ISql,
  collection: Collection,
  keys: readonly string[],
): AsyncGenerator<SourceRow[]> {
  const { length } = tables[collection].columns;
  const count = rowsAtOnce[collection];
  for (let at = 0; at < keys.length; at += count) {
    const rows: { row: Row; counters: TaskCounters | undefined }[] = [];
    const statement = selectRows(collection, keys.slice(at, at + count), { after: furtherOf(collection) });
    for await (const line of copyOut(sql, statement)) {
      const fields = decodeLine(line);
      const row = fieldsToRow(collection, fields);
      rows.push({ row, counters: readCounters(collection, fields.slice(length)) });
    }
    const imported = rows.filter(({ row }) => row.generation !== null).map(({ row }) => row.id!);
    const originals = imported.length === 0
      ? new Map<string, BsonDocument[]>()
      : await findOriginals(sql as Sql, collection, imported);
    yield rows.map(({ row, counters }) => ({
      collection,
      row,
      counters,
      original: originals.get(row.id!)?.find((document) => isOriginalOf(collection, row, document)),
    }));
  }
}
