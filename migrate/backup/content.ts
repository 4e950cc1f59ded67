/** What a database holds, for comparing it with its copy: rows and checksums of tables, and answers of v1. */
import type { Sql } from "../../db/pg/connect.ts";
import { openTaskDetail } from "../../db/v1/detail.ts";
import { openTaskMatrix } from "../../db/v1/matrix.ts";

/** Rows of a table, and a checksum that does not depend on their order. */
export interface TableContent {
  /** Name with its schema. */
  name: string;
  rows: number;
  checksum: string;
}

/** SHA-256 of what v1 answers about a task, in hex. */
export interface TaskAnswers {
  task: string;
  detail: string;
  matrix: string;
}

/** Number of tasks whose answers are compared: the newest and the largest, half of each. */
const answersMax = 40;

/** Lists all tables, a partitioned one without its partitions. */
const listTables = (sql: Sql) =>
  sql<{ name: string; schema: string; relation: string }[]>`
    select n.nspname || '.' || c.relname as name, n.nspname as schema, c.relname as relation
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p') and not c.relispartition and n.nspname in ('public', 'migration')
    order by name`;

/**
 * Reads rows and checksums of all tables. Run it in a transaction with a snapshot.
 *
 * @param onTable called after each table
 */
export async function readTables(sql: Sql, onTable: (table: TableContent) => void): Promise<TableContent[]> {
  const tables: TableContent[] = [];
  for (const { name, schema, relation } of await listTables(sql)) {
    const [row] = await sql<{ rows: number; checksum: string }[]>`
      select count(*)::float8 as rows, coalesce(sum(hashtextextended(t::text, 0)::numeric), 0)::text as checksum
      from ${sql(schema)}.${sql(relation)} as t`;
    const table = { name, ...row! };
    tables.push(table);
    onTable(table);
  }
  return tables;
}

async function digest(stream: ReadableStream<Uint8Array> | undefined): Promise<string> {
  const text = await new Response(stream ?? "").bytes();
  return new Uint8Array(await crypto.subtle.digest("SHA-256", text)).toHex();
}

/** Reads the answers of v1 about some tasks. @param tasks their ids; by default the newest and the largest */
export async function readAnswers(sql: Sql, tasks?: string[]): Promise<TaskAnswers[]> {
  const ids = tasks ?? (await sql<{ id: string }[]>`
    (select id from tasks order by created_at desc, id limit ${answersMax / 2})
    union
    (select id from tasks order by subtasks_total desc, id limit ${answersMax / 2})
    order by id`).map(({ id }) => id);
  const answers: TaskAnswers[] = [];
  for (const task of ids) {
    const detail = await digest(await openTaskDetail(sql, task));
    const matrix = await digest(await openTaskMatrix(sql, task));
    answers.push({ task, detail, matrix });
  }
  return answers;
}

/** Where the server stands. */
export interface Position {
  server_version: string;
  major: number;
  database: string;
  system_identifier: string;
  /** Position in the write-ahead log; all that is older is in the copy. */
  lsn: string;
}

export async function readPosition(sql: Sql): Promise<Position> {
  const [row] = await sql<Position[]>`
    select current_setting('server_version') as server_version,
      current_setting('server_version_num')::int / 10000 as major,
      current_database() as database,
      system_identifier::text as system_identifier,
      (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text as lsn
    from pg_control_system()`;
  return row!;
}

/** Number of tables and sequences that a database has of its own. An empty one can receive a backup. */
export async function countRelations(sql: Sql): Promise<number> {
  const [row] = await sql<{ n: number }[]>`
    select count(*)::int as n
    from pg_class as c
    join pg_namespace as n on n.oid = c.relnamespace
    where c.relkind in ('r', 'p', 'S', 'v', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`;
  return row!.n;
}
