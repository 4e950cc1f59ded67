/** Statements on single rows and small sets of rows, which arrive as texts in PostgreSQL's output form. */
import type { Sql } from "../../../db/pg/connect.ts";
import { copyColumns } from "./batch.ts";
import type { Row } from "../lens/draft.ts";
import type { Collection } from "../documents/source.ts";
import { keySql, tables } from "../lens/tables.ts";

/**
 * Returns the uuids of all loaded tasks by every name that subtasks may use: uuid, the document's own id, `_id`.
 * A task's own names take precedence over `_id`s, as in the plan of a load.
 */
export async function readParents(sql: Sql): Promise<Map<string, string>> {
  const parents = new Map<string, string>();
  const legacyIds: [string, string][] = [];
  const rows = sql<{ id: string; legacy_id: string; names: (string | null)[] }[]>`
    select id::text as id, legacy_id, array[extra ->> 'id', extra ->> 'task_uuid'] as names
    from tasks
    where generation is not null`;
  await rows.cursor(10_000, (part) => {
    for (const { id, legacy_id, names } of part) {
      for (const name of [id, ...names]) if (name !== null && !parents.has(name)) parents.set(name, id);
      legacyIds.push([legacy_id, id]);
    }
  });
  for (const [name, id] of legacyIds) if (!parents.has(name)) parents.set(name, id);
  return parents;
}

async function listColumnTypes(sql: Sql, table: string): Promise<Map<string, string>> {
  const rows = await sql`
    select attname, format_type(atttypid, atttypmod) as type
    from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped`;
  return new Map(rows.map(({ attname, type }) => [attname, type]));
}

/** The columns that a load writes, with the placeholder and the type of each. */
export interface Casts {
  columns: string[];
  /** Placeholders that cast a text to the column's type. */
  placeholders: string[];
  types: string[];
}

/** Reads the casts of each collection's columns once. */
export class CastCache {
  readonly #casts = new Map<Collection, Casts>();

  async get(sql: Sql, collection: Collection): Promise<Casts> {
    const cached = this.#casts.get(collection);
    if (cached) return cached;
    const columns = copyColumns(collection);
    const types = await listColumnTypes(sql, tables[collection].name);
    const casts = {
      columns,
      placeholders: columns.map((column, i) => `$${i + 1}::text::${types.get(column)}`),
      types: columns.map((column) => types.get(column)!),
    };
    this.#casts.set(collection, casts);
    return casts;
  }
}

/** Returns the columns of a task that depend on more than its document: owner and hold. */
async function findTaskColumns(sql: Sql, row: Row): Promise<Row> {
  const [owner] = await sql`select id::text as id from users where email = ${row.username ?? ""}`;
  const isUnfinished = row.status === "pending" || row.status === "processing";
  return { owner_id: owner?.id ?? null, hold: isUnfinished ? "import" : null };
}

/** Inserts a row. Returns false if a row with its key exists. */
export async function insertRow(
  sql: Sql,
  collection: Collection,
  row: Row,
  casts: CastCache,
): Promise<boolean> {
  const { columns, placeholders } = await casts.get(sql, collection);
  const values: Row = collection === "tasks" ? { ...row, ...await findTaskColumns(sql, row) } : row;
  const inserted = await sql.unsafe(
    `
    insert into ${tables[collection].name} (${columns.join()})
    values (${placeholders.join()})
    on conflict do nothing
    returning id`,
    columns.map((column) => values[column] ?? null),
    { prepare: true },
  );
  return inserted.length === 1;
}

/**
 * Inserts rows in one statement, from an array of values for each column of copyColumns(). Skips rows that conflict
 * with existing ones.
 *
 * @returns the keys of the inserted rows
 */
export async function insertColumns(
  sql: Sql,
  collection: Collection,
  values: (string | null)[][],
  casts: CastCache,
): Promise<Set<string>> {
  const { columns, types } = await casts.get(sql, collection);
  const inserted = await sql.unsafe(
    `
    insert into ${tables[collection].name} (${columns.join()})
    select ${columns.map((column, i) => `r.${column}::${types[i]}`).join()}
    from unnest(${columns.map((_, i) => `$${i + 1}::text[]`).join()}) as r (${columns.join()})
    on conflict do nothing
    returning ${keySql(collection)} as key`,
    values,
  );
  return new Set(inserted.map((row) => row.key as string));
}

/**
 * Inserts rows of users or subtasks with distinct keys in one statement. Skips rows that conflict with existing
 * ones.
 *
 * @returns the keys of the inserted rows
 */
export function insertRows(
  sql: Sql,
  collection: "users" | "dramatiq_tasks",
  rows: Row[],
  casts: CastCache,
): Promise<Set<string>> {
  const values = copyColumns(collection).map((column) => rows.map((row) => row[column] ?? null));
  return insertColumns(sql, collection, values, casts);
}

/** Returns the `legacy_id` of the row with the key of `row`. */
export async function findLegacyId(sql: Sql, collection: Collection, row: Row): Promise<string | undefined> {
  const { name, keyColumns } = tables[collection];
  const conditions = keyColumns.map((column, i) => `${column} = $${i + 1}::uuid`);
  const [existing] = await sql.unsafe(
    `
    select legacy_id
    from ${name}
    where ${conditions.join(" and ")}`,
    keyColumns.map((column) => row[column]!),
    { prepare: true },
  );
  return existing?.legacy_id;
}

/** Returns a table expression with the counts of the subtasks of these tasks, by `id`. */
export const countsOf = (sql: Sql, tasks: readonly string[]) =>
  sql`(
    select p.id,
      count(s.id) as total,
      count(*) filter (where s.status = 'completed') as completed,
      count(*) filter (where s.status = 'failed') as failed,
      count(*) filter (where s.status = 'cancelled') as cancelled,
      count(*) filter (where s.status in ('pending', 'processing')) as unfinished
    from unnest(${[...tasks]}::uuid[]) as p (id)
    left join subtasks s on s.parent_task_id = p.id
    group by p.id
  )`;

/** Recounts the subtasks of the given tasks, and holds the tasks that have unfinished subtasks. */
export async function recountTasks(sql: Sql, tasks: string[]): Promise<void> {
  await sql`select from tasks where id = any (${tasks}::uuid[]) order by id for update`;
  await sql`
    update tasks t
    set subtasks_total = c.total,
      subtasks_completed = c.completed,
      subtasks_failed = c.failed,
      subtasks_cancelled = c.cancelled,
      hold = case when c.unfinished > 0 then coalesce(t.hold, 'import') else t.hold end,
      revision = t.revision + 1
    from ${countsOf(sql, tasks)} as c
    where t.id = c.id and t.generation is not null`;
}
