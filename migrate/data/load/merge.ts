/** Rows that may meet another of their key: inserted where there is room, the rest told apart. */
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { type Batch, copyColumns, type Doubtful, quarantine } from "./batch.ts";
import { decodeLine } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { Collection } from "../documents/source.ts";
import { tables } from "../lens/tables.ts";

const keyOf = (collection: Collection) =>
  collection === "dramatiq_tasks" ? "parent_task_id || '/' || id" : "id::text";

/** Takes a row that stayed out from the tally it was counted in. */
function takeBack({ notes }: Batch, doubtful: Doubtful): void {
  const { position } = doubtful.raw;
  notes.tally[doubtful.adjusted > 0 ? "adjusted" : "exact"]--;
  notes.adjusted = notes.adjusted.filter((row) => row.position !== position);
  notes.originals = notes.originals.filter((row) => row.position !== position);
}

async function findPresent(sql: Sql, collection: Collection, keys: string[]): Promise<Map<string, string>> {
  const ids = keys.map((key) => key.split("/").at(-1)!);
  const name = tables[collection].name;
  const rows = await sql`
    select ${sql.unsafe(keyOf(collection))} as key, legacy_id
    from ${sql(name)}
    where id = any (${ids}::uuid[])
      ${
    collection === "dramatiq_tasks"
      ? sql`and parent_task_id = any (${keys.map((key) => key.slice(0, 36))}::uuid[])`
      : sql``
  }`;
  return new Map(rows.map(({ key, legacy_id }) => [key, legacy_id]));
}

/** Types of a table's columns, for casts of texts. */
async function listTypes(sql: Sql, table: string): Promise<Map<string, string>> {
  const rows = await sql`
    select attname, format_type(atttypid, atttypmod) as type
    from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped`;
  return new Map(rows.map(({ attname, type }) => [attname, type]));
}

/**
 * Inserts rows where there is room, from arrays rather than a temporary table: dropping one makes its COMMIT
 * wait for the disk.
 *
 * @returns keys of those that went in
 */
async function insertRows(
  sql: postgres.ReservedSql,
  collection: Collection,
  lines: string[],
): Promise<Set<string>> {
  const { name } = tables[collection];
  const columns = copyColumns(collection);
  const types = await listTypes(sql, name);
  const rows = lines.map(decodeLine);
  const arrays = columns.map((_, i) => rows.map((row) => row[i]!));
  const inserted = await sql.unsafe(
    `
    insert into ${name} (${columns.join()})
    select ${columns.map((column) => `${column}::${types.get(column)}`).join()}
    from unnest(${columns.map((_, i) => `$${i + 1}::text[]`).join()}) as r (${columns.join()})
    on conflict do nothing
    returning ${keyOf(collection)} as key`,
    arrays,
  );
  return new Set(inserted.map(({ key }) => key));
}

/**
 * Inserts a batch's doubtful rows. One that is there already, from the same `_id`, is excluded as
 * `already_present`; one whose place another document has goes to quarantine.
 */
export async function mergeDoubtful(
  sql: postgres.ReservedSql,
  collection: Collection,
  batch: Batch,
): Promise<void> {
  const into = await insertRows(sql, collection, batch.doubtful.map(({ line }) => line));
  failpoint("merge.inserted");
  const out = batch.doubtful.filter(({ key }) => !into.has(key));
  if (out.length === 0) return;
  const present = await findPresent(sql, collection, out.map(({ key }) => key));
  for (const doubtful of out) {
    const { raw, documentId, key, legacyId } = doubtful;
    takeBack(batch, doubtful);
    if (present.get(key) === legacyId) {
      batch.notes.excluded.push({ position: raw.position, document_id: documentId, rule: "already_present" });
      batch.notes.tally.excluded++;
      continue;
    }
    const there = present.get(key);
    quarantine(batch.notes, raw, documentId, {
      reason: there === undefined && collection === "users" ? "duplicate_email" : "duplicate_id",
      path: there === undefined && collection === "users" ? "email" : "id",
      detail: there === undefined ? "a row of the target has its place" : `the row of ${there} has its place`,
    });
  }
}
