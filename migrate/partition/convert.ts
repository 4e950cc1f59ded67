/**
 * Replaces plain tables by partitioned ones, in the transaction of the caller: moves the plain tables aside, creates the
 * partitioned ones, copies the rows, creates keys, indexes, foreign keys and triggers, and drops the plain tables.
 */
import type { Sql } from "../../db/pg/connect.ts";
import type { Progress } from "../data/tools/progress.ts";
import type { Definition } from "./definitions.ts";
import type { TableState } from "./tables.ts";

/** Schema in which the plain tables wait until they are dropped. */
const aside = "migration";
/** Bytes of a table that are copied by one statement, so that progress is shown. */
const stepBytes = 32 * 1024 * 1024;

/** Returns the names of a table's partitions, such as `subtasks_p03`. */
export function listPartitions(name: string, partitions: number): string[] {
  const digits = String(partitions - 1).length;
  return Array.from({ length: partitions }, (_, i) => `${name}_p${String(i).padStart(digits, "0")}`);
}

async function run(sql: Sql, statements: string[]): Promise<void> {
  for (const statement of statements) await sql.unsafe(statement);
}

/** Creates the partitioned table with its columns, defaults and checks, without keys and indexes. */
async function createTable(sql: Sql, definition: Definition, partitions: number): Promise<void> {
  const { name, key, storage, tablespace, owner } = definition;
  await sql.unsafe(`
    create table public.${name} (
      like ${aside}.${name} including defaults including constraints including identity including generated
        including storage including compression including statistics including comments
    ) partition by hash (${key}) ${tablespace}`);
  for (const [remainder, part] of listPartitions(name, partitions).entries()) {
    await sql.unsafe(`
      create table public.${part} partition of public.${name}
        for values with (modulus ${partitions}, remainder ${remainder})
        ${storage === null ? "" : `with (${storage})`} ${tablespace}`);
    await sql.unsafe(`alter table public.${part} owner to ${owner}`);
  }
  await sql.unsafe(`alter table public.${name} owner to ${owner}`);
}

/** Copies the rows of a table in the order of its pages. Returns their number. */
async function copyRows(
  sql: Sql,
  { name, columns, identity }: Definition,
  bytes: number,
  progress: Progress,
): Promise<number> {
  const [size] = await sql<{ pages: number; block: number }[]>`
    select (pg_relation_size(${`${aside}.${name}`}::regclass) / current_setting('block_size')::int)::int as pages,
      current_setting('block_size')::int as block`;
  const { pages, block } = size!;
  const step = Math.max(1, Math.floor(stepBytes / block));
  const list = columns.join(", ");
  let rows = 0;
  for (let from = 0; from < pages; from += step) {
    const to = Math.min(from + step, pages);
    // The plain table has one file of pages, so that a range of positions is a range of pages.
    const { count } = await sql.unsafe(`
      insert into public.${name} (${list}) overriding system value
      select ${list} from ${aside}.${name} where ctid >= '(${from},0)' and ctid < '(${to},0)'`);
    rows += count;
    progress.add(bytes * (to - from) / pages, count);
  }
  if (identity !== null) {
    const [old] = await sql<{ name: string }[]>`
      select pg_get_serial_sequence(${`${aside}.${name}`}, ${identity}) as name`;
    await sql.unsafe(`
      select setval(pg_get_serial_sequence('public.${name}', '${identity}'), last_value, is_called)
      from ${old!.name}`);
  }
  return rows;
}

/** Creates primary keys, indexes, foreign keys and what else the tables have. */
async function createParts(
  sql: Sql,
  definitions: Definition[],
  states: Map<string, TableState>,
  progress: Progress,
): Promise<void> {
  const indexBytes = (name: string) => states.get(name)!.indexBytes;
  progress.begin("creating indexes", definitions.reduce((sum, { name }) => sum + indexBytes(name), 0));
  // Enough to sort two million rows without temporary files.
  await sql`set local maintenance_work_mem = '256MB'`;
  for (const { name, primaryKey, indexes } of definitions) {
    const statements = [primaryKey, ...indexes];
    for (const statement of statements) {
      await sql.unsafe(statement);
      progress.add(indexBytes(name) / statements.length, 0);
    }
  }
  progress.begin("checking references", definitions.reduce((sum, { name }) => sum + indexBytes(name), 0));
  for (const { name, foreignKeys } of definitions) {
    await run(sql, foreignKeys);
    progress.add(indexBytes(name), 0);
  }
  for (const { rest } of definitions) await run(sql, rest);
}

/**
 * Replaces the tables. The transaction must hold access exclusive locks on them and on `tasks`.
 *
 * @param definitions the plain tables, subtasks first
 * @returns the number of copied rows by table
 */
export async function convert(
  sql: Sql,
  definitions: Definition[],
  states: Map<string, TableState>,
  { partitions, progress }: { partitions: number; progress: Progress },
): Promise<Record<string, number>> {
  const bytes = (name: string) => states.get(name)!.bytes;
  for (const { name } of definitions) {
    await sql.unsafe(`alter table public.${name} set schema ${aside}`);
  }
  for (const definition of definitions) await createTable(sql, definition, partitions);
  progress.begin("copying rows", definitions.reduce((sum, { name }) => sum + bytes(name), 0));
  const copied: Record<string, number> = {};
  for (const definition of definitions) {
    copied[definition.name] = await copyRows(sql, definition, bytes(definition.name), progress);
  }
  await createParts(sql, definitions, states, progress);
  for (const { name } of definitions.toReversed()) await sql.unsafe(`drop table ${aside}.${name}`);
  // Autovacuum analyzes partitions, but never the tables that they belong to.
  for (const { name } of definitions) await sql.unsafe(`analyze public.${name}`);
  progress.end();
  return copied;
}
