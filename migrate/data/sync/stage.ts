/**
 * Writes rows through temporary tables: COPY into the staging table, then one statement that inserts or updates. Only
 * the columns that documents own are written, so ratings, evaluations and settings of the new system stay.
 */
import type { Sql } from "../../../db/pg/connect.ts";
import type { Collection } from "../documents/source.ts";
import { keySql, splitKeys, tables } from "../lens/tables.ts";
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

/** Returns the key of the row that a document has already; undefined if it has none. */
export function keyOfExisting(
  existing: ReadonlyMap<string, ExistingRow>,
  { legacyId }: StagedDocument,
): string | undefined {
  const row = existing.get(legacyId);
  return row && keyOfRow(row);
}

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

/** Finds the rows of documents by their `_id`s. */
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
    where legacy_id = any ($1::text[])`,
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
  const rows = await sql.unsafe(
    `
    select ${keySql(collection, "t")} as key, t.legacy_id
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

/** The parts of the statements that write the rows of a staging table `s` to a table `t`. */
interface Upsert {
  /** Further columns of an insert with their values. */
  columns: string;
  values: string;
  /** Further assignments of an update; `s` has the columns of the staging table, and `p` is the task of a subtask. */
  set: string;
  /** Further tables. A missing task of a subtask raises the error of the foreign key. */
  join: string;
}

const isUnfinished = "s.status in ('pending', 'processing')";

const upserts: Record<Collection, Upsert> = {
  users: { columns: "", values: "", set: "", join: "" },
  tasks: {
    columns: ", owner_id, hold",
    values: `, o.id, case when ${isUnfinished} then 'import' end`,
    set: `, owner_id = o.id, revision = t.revision + 1,
      hold = case when t.hold <> 'import' then t.hold when ${isUnfinished} then 'import' end`,
    join: "left join users o on o.email = s.username",
  },
  dramatiq_tasks: {
    columns: ", revision",
    values: ", coalesce(p.revision, 0)",
    // A lease belongs to a cell that is being drawn here.
    set:
      `, revision = coalesce(p.revision, 0), lease_id = case when s.status = 'processing' then t.lease_id end,
      worker_id = case when s.status = 'processing' then t.worker_id end`,
    join: "left join tasks p on p.id = s.parent_task_id::uuid",
  },
};

function* chunksOf(documents: readonly StagedDocument[]): Generator<Uint8Array> {
  const linesAtOnce = 200;
  for (let at = 0; at < documents.length; at += linesAtOnce) {
    yield encoder.encode(documents.slice(at, at + linesAtOnce).map(({ line }) => `${line}\n`).join(""));
  }
}

/**
 * Updates the rows of documents with distinct keys, and inserts those that do not exist. Two statements are faster than
 * `on conflict`, which locks each row before it updates it.
 *
 * @param hasNew whether a document may have no row yet
 */
export async function upsertRows(
  sql: Sql,
  collection: Collection,
  documents: readonly StagedDocument[],
  hasNew: boolean,
  casts: CastCache,
): Promise<void> {
  const { name, columns, keyColumns } = tables[collection];
  const upsert = upserts[collection];
  const { types } = await casts.get(sql, collection);
  const cast = new Map(columns.map((column, i) => [column, `s.${column}::${types[i]}`]));
  const hasKey = keyColumns.map((column) => `t.${column} = ${cast.get(column)}`).join(" and ");
  const stage = stageOf(collection);
  await copyIn(sql, `copy ${stage} (${columns.join()}) from stdin`, chunksOf(documents));
  failpoint("sync.staged");
  const owned = columns.filter((column) => !keyColumns.includes(column));
  const updated = await sql.unsafe(`
    update ${name} t
    set ${owned.map((column) => `${column} = ${cast.get(column)}`).join()}${upsert.set}
    from ${stage} s ${upsert.join}
    where ${hasKey}`);
  failpoint("sync.rows_updated");
  if (hasNew || updated.count < documents.length) {
    await sql.unsafe(`
      insert into ${name} (${columns.join()}${upsert.columns})
      select ${[...cast.values()].join()}${upsert.values}
      from ${stage} s ${upsert.join}
      where not exists (select from ${name} t where ${hasKey})`);
  }
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
