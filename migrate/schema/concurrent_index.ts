/** Builds an index on a partitioned table without blocking writers, which PostgreSQL does for each partition only. */
import type { Sql } from "../../db/pg/connect.ts";

const statement =
  /^(?:\s|--.*\n)*create (?<unique>unique )?index concurrently (?<index>\w+) on (?<table>\w+) (?<rest>[^;]+);?\s*$/i;

/**
 * Runs a statement that builds an index concurrently, if its table is partitioned.
 *
 * @returns false if the statement does something else, or its table is plain
 */
export async function buildOnPartitions(sql: Sql, text: string): Promise<boolean> {
  const { unique = "", index, table, rest } = statement.exec(text)?.groups ?? {};
  if (table === undefined) return false;
  const parts = await sql<{ name: string }[]>`
    select c.relname as name
    from pg_inherits as i join pg_class as c on c.oid = i.inhrelid
    where i.inhparent = to_regclass(${table})
    order by c.relname`;
  if (parts.length === 0) return false;
  await sql.unsafe(`create ${unique}index ${index} on only ${table} ${rest}`);
  for (const { name } of parts) {
    // A process that was killed before it attached the index has left it.
    await sql.unsafe(`drop index concurrently if exists ${name}_${index}`);
    await sql.unsafe(`create ${unique}index concurrently ${name}_${index} on ${name} ${rest}`);
    await sql.unsafe(`alter index ${index} attach partition ${name}_${index}`);
  }
  return true;
}
