/** Statements on the recorded changes. */
import type { Sql } from "../../../db/pg/connect.ts";
import type { Collection } from "../documents/source.ts";
import { collections } from "../documents/source.ts";

/** A recorded change of a row. */
export interface Change {
  number: number;
  collection: Collection;
  /** Key of the row, see keyOf(). */
  key: string;
  /** `_id` as text, for a row that was deleted. */
  deleted_id: string | null;
  /** Age in milliseconds when it was read. */
  age: number;
}

/** Changes of one collection, each row once. */
export interface Batch {
  collection: Collection;
  /** Keys of changed rows in the order of their first change. */
  keys: string[];
}

/** Lists the oldest changes, except some. */
export async function listChanges(sql: Sql, except: readonly number[], limit: number): Promise<Change[]> {
  return await sql<Change[]>`
    select number::float8 as number, collection, coalesce(parent_id::text || '/', '') || row_id::text as key, deleted_id,
      extract(epoch from now() - at)::float8 * 1000 as age
    from migration.changes
    where not (number = any (${[...except]}::bigint[]))
    order by number
    limit ${limit}`;
}

/**
 * Deletes changes by their numbers. A change that is committed later, with a number between them, stays.
 */
export async function deleteChanges(sql: Sql, numbers: readonly number[]): Promise<void> {
  await sql`delete from migration.changes where number = any (${[...numbers]}::bigint[])`;
}

/** Records changes again, for rows whose documents may not be the newest. */
export async function recordAgain(sql: Sql, changes: readonly Change[]): Promise<void> {
  const collectionsOf = changes.map(({ collection }) => collection);
  const keys = changes.map(({ key }) => key);
  const deleted = changes.map(({ deleted_id }) => deleted_id);
  await sql`
    insert into migration.changes (collection, parent_id, row_id, deleted_id)
    select c.collection, case when length(c.key) > 36 then left(c.key, 36)::uuid end, right(c.key, 36)::uuid, c.deleted_id
    from unnest(${collectionsOf}::text[], ${keys}::text[], ${deleted}::text[]) as c (collection, key, deleted_id)`;
}

/** Groups changes, parents first. Ten changes of one row are one. */
export function coalesce(changes: readonly Change[]): Batch[] {
  return collections.map((collection) => {
    const own = changes.filter((change) => change.collection === collection);
    return { collection, keys: [...new Set(own.map(({ key }) => key))] };
  }).filter(({ keys }) => keys.length > 0);
}
