/** Rows put in or found one at a time, where a document is dealt with by itself. */
import type { Sql } from "../../../db/pg/connect.ts";
import { copyColumns } from "./batch.ts";
import type { Row } from "../lens/draft.ts";
import type { Collection } from "../documents/source.ts";
import { tables } from "../lens/tables.ts";

/** Names that tasks in the table go by in their subtasks, as the plan of a load knows them: id, own name, `_id`. */
export async function readParents(sql: Sql): Promise<Map<string, string>> {
  const parents = new Map<string, string>();
  const later: [string, string][] = [];
  const rows = sql<{ id: string; legacy_id: string; names: (string | null)[] }[]>`
    select id::text as id, legacy_id, array[extra ->> 'id', extra ->> 'task_uuid'] as names
    from tasks
    where generation is not null`;
  await rows.cursor(10_000, (part) => {
    for (const { id, legacy_id, names } of part) {
      for (const name of [id, ...names]) if (name !== null && !parents.has(name)) parents.set(name, id);
      later.push([legacy_id, id]);
    }
  });
  for (const [name, id] of later) if (!parents.has(name)) parents.set(name, id);
  return parents;
}

/** Types of a table's columns, for casts of texts. */
async function listColumnTypes(sql: Sql, table: string): Promise<Map<string, string>> {
  const rows = await sql`
    select attname, format_type(atttypid, atttypmod) as type
    from pg_attribute
    where attrelid = ${table}::regclass and attnum > 0 and not attisdropped`;
  return new Map(rows.map(({ attname, type }) => [attname, type]));
}

/** Columns of a table with a placeholder each, cast to the column's type out of PostgreSQL's own text. */
export interface Casts {
  columns: string[];
  placeholders: string[];
  types: string[];
}

/** The casts of a collection's columns, asked once. */
export class CastCache {
  readonly #casts = new Map<Collection, Casts>();

  async get(sql: Sql, collection: Collection): Promise<Casts> {
    const known = this.#casts.get(collection);
    if (known) return known;
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

/** Owner and hold of a task that comes from a document. */
async function taskColumnsOf(sql: Sql, row: Row): Promise<Row> {
  const [owner] = await sql`select id::text as id from users where email = ${row.username ?? ""}`;
  const open = row.status === "pending" || row.status === "processing";
  return { owner_id: owner?.id ?? null, hold: open ? "import" : null };
}

/**
 * Inserts a row out of texts in PostgreSQL's output form.
 *
 * @returns false where its place is taken
 */
export async function insertRow(
  sql: Sql,
  collection: Collection,
  row: Row,
  casts: CastCache,
): Promise<boolean> {
  const { columns, placeholders } = await casts.get(sql, collection);
  const whole: Row = collection === "tasks" ? { ...row, ...await taskColumnsOf(sql, row) } : row;
  const inserted = await sql.unsafe(
    `
    insert into ${tables[collection].name} (${columns.join()})
    values (${placeholders.join()})
    on conflict do nothing
    returning id`,
    columns.map((column) => whole[column] ?? null),
    { prepare: true },
  );
  return inserted.length === 1;
}

/** A row's key as one text. */
export const keyOfRow = (collection: Collection, row: Row): string =>
  collection === "dramatiq_tasks" ? `${row.parent_task_id}/${row.id}` : row.id!;

/**
 * Inserts many rows of users or subtasks, whose keys differ, in one statement.
 *
 * @returns keys of those that went in
 */
export async function insertRows(
  sql: Sql,
  collection: "users" | "dramatiq_tasks",
  rows: Row[],
  casts: CastCache,
): Promise<Set<string>> {
  const { columns, types } = await casts.get(sql, collection);
  const key = collection === "dramatiq_tasks" ? "parent_task_id || '/' || id" : "id::text";
  const inserted = await sql.unsafe(
    `
    insert into ${tables[collection].name} (${columns.join()})
    select ${columns.map((column, i) => `r.${column}::${types[i]}`).join()}
    from unnest(${columns.map((_, i) => `$${i + 1}::text[]`).join()}) as r (${columns.join()})
    on conflict do nothing
    returning ${key} as key`,
    columns.map((column) => rows.map((row) => row[column] ?? null)),
  );
  return new Set(inserted.map((row) => row.key as string));
}

/** `legacy_id` of the row that has this one's key. */
export async function findLegacyId(sql: Sql, collection: Collection, row: Row): Promise<string | undefined> {
  const [there] = await sql`
    select legacy_id
    from ${sql(tables[collection].name)}
    where id = ${row.id!}
      ${collection === "dramatiq_tasks" ? sql`and parent_task_id = ${row.parent_task_id!}` : sql``}`;
  return there?.legacy_id;
}

/** Counts the cells of these tasks anew, and holds those that have unfinished ones. */
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
    from (
      select p.id,
        count(s.id) as total,
        count(*) filter (where s.status = 'completed') as completed,
        count(*) filter (where s.status = 'failed') as failed,
        count(*) filter (where s.status = 'cancelled') as cancelled,
        count(*) filter (where s.status in ('pending', 'processing')) as unfinished
      from unnest(${tasks}::uuid[]) as p (id)
      left join subtasks s on s.parent_task_id = p.id
      group by p.id
    ) as c
    where t.id = c.id and t.generation is not null`;
}
