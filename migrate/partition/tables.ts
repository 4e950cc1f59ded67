/** The tables that are partitioned by hash of the task, and whether a database has them so. */
import type { Sql } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { counted } from "../../phrases.ts";

/** A table whose rows belong to one task each. */
export interface TaskTable {
  name: string;
  /** Column with the task's id. */
  key: string;
}

/** All tables with a foreign key to subtasks, behind subtasks itself, which they reference. */
export const taskTables: readonly TaskTable[] = [
  { name: "subtasks", key: "parent_task_id" },
  { name: "attempts", key: "task_id" },
  { name: "cell_tags", key: "task_id" },
  { name: "evaluations", key: "task_id" },
  { name: "favourites", key: "task_id" },
  { name: "rating_history", key: "task_id" },
  { name: "ratings", key: "task_id" },
  { name: "reservations", key: "task_id" },
  { name: "votes", key: "task_id" },
];

/** A task table as a database has it. */
export interface TableState extends TaskTable {
  /** Number of partitions; 0 for a plain table. */
  partitions: number;
  /** Rows by the planner's estimate. */
  rows: number;
  /** Size without indexes. */
  bytes: number;
  indexBytes: number;
}

/** Reads the state of those task tables that exist. */
export async function readTableStates(sql: Sql): Promise<TableState[]> {
  const names = taskTables.map(({ name }) => name);
  const keys = taskTables.map(({ key }) => key);
  return await sql<TableState[]>`
    select t.name, t.key,
      (select count(*) from pg_inherits where inhparent = c.oid)::int as partitions,
      parts.rows, parts.bytes, parts.index_bytes as "indexBytes"
    from unnest(${names}::text[], ${keys}::text[]) with ordinality as t (name, key, number)
    join pg_class as c on c.oid = to_regclass('public.' || t.name),
      lateral (
        select sum(greatest(p.reltuples, 0))::float8 as rows, sum(pg_table_size(p.oid))::float8 as bytes,
          sum(pg_indexes_size(p.oid))::float8 as index_bytes
        from pg_class as p
        where p.oid = c.oid or p.oid in (select inhrelid from pg_inherits where inhparent = c.oid)
      ) as parts
    order by t.number`;
}

/** What `migrate status` and `migrate check` tell about partitions. */
export interface PartitionSummary {
  /** Number of partitions of each table; 0 if the tables are plain. */
  partitions: number;
  /** Plain tables beside partitioned ones. */
  plain: string[];
}

/** Summarizes the state of the tables. */
export function summarize(states: readonly TableState[]): PartitionSummary {
  const partitions = Math.max(0, ...states.map((state) => state.partitions));
  const plain = partitions === 0 ? [] : states.filter((state) => state.partitions === 0);
  return { partitions, plain: plain.map(({ name }) => name) };
}

/** Describes the summary in one line. */
export function describe({ partitions, plain }: PartitionSummary): string {
  if (partitions === 0) return "subtasks and the tables that belong to it are not partitioned";
  const text = `subtasks and the tables that belong to it have ${counted(partitions, "partition")} each`;
  return plain.length === 0
    ? text
    : `${text}, except ${plain.join(", ")}: run 'deno task migrate partition' again`;
}

const partitionsMax = 256;
/** Number of partitions unless `--partitions` names another one. */
export const partitionsDefault = 16;

/**
 * Parses `--partitions`. Only powers of two are accepted, so that partitions can be distributed evenly over 2, 4, 8 …
 * servers.
 *
 * @throws AppError usage
 */
export function parsePartitions(text: string): number {
  const number = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (number >= 2 && number <= partitionsMax && Number.isInteger(Math.log2(number))) return number;
  throw new AppError(
    "usage",
    `--partitions '${text}': wanted a power of two from 2 to ${partitionsMax}, such as ${partitionsDefault}`,
  );
}
