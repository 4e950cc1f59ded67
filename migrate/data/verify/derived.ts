/** What no document says and a load works out: tasks' counters and owners, the ledger's own sums. */
import type postgres from "postgres";
import type { Mismatch } from "./mismatch.ts";
import { findRangeFaults } from "../ledger/status.ts";

type Note = (mismatch: Mismatch) => void;

/** The most that are told of one kind. */
const toldMax = 1000;

const noteTask = (note: Note, row: postgres.Row) =>
  note({
    collection: "tasks",
    document_id: `{"$oid":"${row.legacy_id}"}`,
    kind: "derived_changed",
    path: `(column ${row.name})`,
    source_value: row.wanted,
    row_value: row.found,
    cause: "outside_writer",
  });

/** Counters of imported tasks against their subtasks; for a table of subtasks that was found equal. */
export async function findWrongCounters(sql: postgres.ISql, note: Note): Promise<void> {
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
    limit ${toldMax}`;
  for (const row of rows) noteTask(note, row);
}

/** Owners of imported tasks: the user whose e-mail a task names, unless that user changed since. */
export async function findWrongOwners(sql: postgres.ISql, note: Note): Promise<void> {
  const rows = await sql`
    select t.legacy_id, 'owner_id' as name, u.id::text as wanted, t.owner_id::text as found
    from tasks t
    left join users u on u.email = t.username and u.generation is not null
    left join users o on o.id = t.owner_id
    where t.generation is not null and t.owner_id is distinct from u.id
      and (o.id is null or o.updated_at <= (select min(settled_at) from migration.sources))
    limit ${toldMax}`;
  for (const row of rows) noteTask(note, row);
}

/** Ranges of a source whose sums do not add up. */
export async function findWrongSums(
  sql: postgres.Sql | postgres.ReservedSql,
  fingerprint: string,
  note: Note,
) {
  for (const { collection, what, wanted, found } of await findRangeFaults(sql, fingerprint)) {
    note({
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
