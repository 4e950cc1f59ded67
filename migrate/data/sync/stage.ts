/**
 * Writes rows through temporary tables: COPY into the staging table, then one statement that inserts or updates. Only
 * the columns that documents own are written, so ratings, evaluations and settings of the new system stay.
 */
import type { Sql } from "../../../db/pg/connect.ts";
import type { Collection } from "../documents/source.ts";
import { splitKeys, tables } from "../lens/tables.ts";
import type { CastCache } from "../load/rows.ts";
import { copyIn } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { StagedDocument } from "./mapping.ts";

const encoder = new TextEncoder();

/** A row of the target. */
export interface ExistingRow {
  legacy_id: string;
  id: string;
  parent_task_id: string | null;
}

/** Returns the key of a row, see keyOf(). */
export const keyOfRow = ({ parent_task_id, id }: ExistingRow): string =>
  parent_task_id === null ? id : `${parent_task_id}/${id}`;

const stageOf = (collection: Collection) => `staged_${tables[collection].name}`;

/**
 * Creates the staging tables of a session, empty after each commit. All columns are texts, so that a value which the
 * server refuses fails in a statement, after which a transaction can go on, and not in COPY.
 */
export async function createStages(sql: Sql): Promise<void> {
  for (const { name, columns } of Object.values(tables)) {
    const texts = columns.map((column) => `${column} text`).join();
    await sql.unsafe(`create temporary table if not exists staged_${name} (${texts}) on commit delete rows`);
  }
}

/** Finds the rows of documents by their `_id`s. Locks them, so that no other session moves them meanwhile. */
export async function findRows(
  sql: Sql,
  collection: Collection,
  legacyIds: readonly string[],
): Promise<Map<string, ExistingRow>> {
  const { name } = tables[collection];
  const parent = collection === "dramatiq_tasks" ? "parent_task_id::text" : "null";
  const rows = await sql.unsafe<ExistingRow[]>(
    `
    select legacy_id, id::text as id, ${parent} as parent_task_id
    from ${name}
    where legacy_id = any ($1::text[])
    for no key update`,
    [[...legacyIds]],
  );
  return new Map(rows.map((row) => [row.legacy_id, row]));
}

/** Finds the rows that hold keys, by key. */
export async function findKeyHolders(
  sql: Sql,
  collection: Collection,
  keys: readonly string[],
): Promise<Map<string, string>> {
  const { name, keyColumns } = tables[collection];
  const key = keyColumns.map((column) => `t.${column}::text`).join(" || '/' || ");
  const rows = await sql.unsafe(
    `
    select ${key} as key, t.legacy_id
    from unnest(${keyColumns.map((_, i) => `$${i + 1}::uuid[]`).join()}) as k (${keyColumns.join()})
    join ${name} t using (${keyColumns.join()})`,
    splitKeys(collection, keys),
  );
  return new Map(rows.map((row) => [row.key, row.legacy_id]));
}

/** Deletes rows. A task's subtasks are deleted with it. */
export async function deleteRows(
  sql: Sql,
  collection: Collection,
  rows: readonly ExistingRow[],
): Promise<void> {
  if (rows.length === 0) return;
  const { name, keyColumns } = tables[collection];
  await sql.unsafe(
    `
    delete from ${name} t
    using unnest(${keyColumns.map((_, i) => `$${i + 1}::uuid[]`).join()}) as k (${keyColumns.join()})
    where ${keyColumns.map((column) => `t.${column} = k.${column}`).join(" and ")}`,
    splitKeys(collection, rows.map(keyOfRow)),
  );
}

/** Assignments of the columns that a document owns, for `on conflict do update`. */
const assignments = (columns: readonly string[], keyColumns: readonly string[]) =>
  columns.filter((column) => !keyColumns.includes(column)).map((column) => `${column} = excluded.${column}`)
    .join();

const upserts: Record<Collection, (columns: string, values: string, set: string) => string> = {
  users: (columns, values, set) => `
    insert into users as t (${columns})
    select ${values}
    from staged_users s
    on conflict (id) do update
    set ${set}`,
  tasks: (columns, values, set) => `
    insert into tasks as t (${columns}, owner_id, hold)
    select ${values}, (select u.id from users u where u.email = s.username),
      case when s.status in ('pending', 'processing') then 'import' end
    from staged_tasks s
    on conflict (id) do update
    set ${set}, owner_id = excluded.owner_id, revision = t.revision + 1,
      hold = case when t.hold is null or t.hold = 'import' then excluded.hold else t.hold end`,
  // A missing task raises the error of the foreign key. A lease belongs to a cell that is being drawn here.
  dramatiq_tasks: (columns, values, set) => `
    insert into subtasks as t (${columns}, revision)
    select ${values}, coalesce(p.revision, 0)
    from staged_subtasks s
    left join tasks p on p.id = s.parent_task_id::uuid
    on conflict (parent_task_id, id) do update
    set ${set}, revision = excluded.revision,
      lease_id = case when excluded.status = 'processing' then t.lease_id end,
      worker_id = case when excluded.status = 'processing' then t.worker_id end`,
};

function* chunksOf(documents: readonly StagedDocument[]): Generator<Uint8Array> {
  const linesAtOnce = 200;
  for (let at = 0; at < documents.length; at += linesAtOnce) {
    yield encoder.encode(documents.slice(at, at + linesAtOnce).map(({ line }) => `${line}\n`).join(""));
  }
}

/** Inserts or updates the rows of documents with distinct keys. */
export async function upsertRows(
  sql: Sql,
  collection: Collection,
  documents: readonly StagedDocument[],
  casts: CastCache,
): Promise<void> {
  const { columns, keyColumns } = tables[collection];
  const { types } = await casts.get(sql, collection);
  const values = columns.map((column, i) => `s.${column}::${types[i]}`);
  const stage = stageOf(collection);
  await copyIn(sql, `copy ${stage} (${columns.join()}) from stdin`, chunksOf(documents));
  failpoint("sync.staged");
  await sql.unsafe(upserts[collection](columns.join(), values.join(), assignments(columns, keyColumns)));
  failpoint("sync.rows_upserted");
  await sql.unsafe(`truncate ${stage}`);
}

/** Inserts rows into the table itself. Fails if one of their keys exists. */
export async function copyRows(
  sql: Sql,
  collection: Collection,
  documents: readonly StagedDocument[],
): Promise<void> {
  const { name, columns } = tables[collection];
  await copyIn(sql, `copy ${name} (${columns.join()}) from stdin`, chunksOf(documents));
}
