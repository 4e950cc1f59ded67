/** Verifies values that are in no document: counters and owners of tasks, and the counts of the ledger. */
import type postgres from "postgres";
import type { OnMismatch } from "./mismatch.ts";
import { findRangeFaults } from "../ledger/status.ts";

/** Maximum number of reported differences of one kind. */
const mismatchesMax = 1000;

const reportTask = (onMismatch: OnMismatch, row: postgres.Row) =>
  onMismatch({
    collection: "tasks",
    document_id: `{"$oid":"${row.legacy_id}"}`,
    kind: "derived_changed",
    path: `(column ${row.name})`,
    source_value: row.wanted,
    row_value: row.found,
    cause: "outside_writer",
  });

/** Compares the counters of imported tasks with their subtasks. The subtasks must have been verified as equal. */
export async function findWrongCounters(sql: postgres.ISql, onMismatch: OnMismatch): Promise<void> {
  const rows = await sql`
    select t.legacy_id, v.name, v.wanted::text as wanted, v.found::text as found
    from tasks t
    left join (
      select parent_task_id, count(*) as total,
        count(*) filter (where status = 'completed') as completed,
        count(*) filter (where status = 'failed') as failed,
        count(*) filter (where status = 'cancelled') as cancelled
      from subtasks
      group by parent_task_id
    ) as c on c.parent_task_id = t.id
    cross join lateral (values
      ('subtasks_total', coalesce(c.total, 0), t.subtasks_total),
      ('subtasks_completed', coalesce(c.completed, 0), t.subtasks_completed),
      ('subtasks_failed', coalesce(c.failed, 0), t.subtasks_failed),
      ('subtasks_cancelled', coalesce(c.cancelled, 0), t.subtasks_cancelled)
    ) as v (name, wanted, found)
    where t.generation is not null and v.wanted <> v.found
    limit ${mismatchesMax}`;
  for (const row of rows) reportTask(onMismatch, row);
}

/**
 * Compares the owners of imported tasks with the users whose e-mail the tasks name. Ignores owners that changed after
 * the load.
 */
export async function findWrongOwners(sql: postgres.ISql, onMismatch: OnMismatch): Promise<void> {
  const rows = await sql`
    select t.legacy_id, 'owner_id' as name, u.id::text as wanted, t.owner_id::text as found
    from tasks t
    left join users u on u.email = t.username and u.generation is not null
    left join users o on o.id = t.owner_id
    where t.generation is not null and t.owner_id is distinct from u.id
      and (o.id is null or o.updated_at <= (select min(settled_at) from migration.sources))
    limit ${mismatchesMax}`;
  for (const row of rows) reportTask(onMismatch, row);
}

/** Reports the ranges of a source whose counts do not add up. */
export async function findWrongCounts(
  sql: postgres.Sql | postgres.ReservedSql,
  fingerprint: string,
  onMismatch: OnMismatch,
): Promise<void> {
  for (const { collection, what, wanted, found } of await findRangeFaults(sql, fingerprint)) {
    onMismatch({
      collection,
      document_id: "",
      kind: "ledger_changed",
      path: `(${what})`,
      cause: "ledger",
      source_value: String(wanted),
      row_value: String(found),
    });
  }
}
