/** SQL that builds the JSON text shared by v1's list, detail and create answers. */
import type { Sql } from "../pg/connect.ts";
import { taskIdJson } from "./task_ids.ts";

/**
 * Returns SQL text that formats a time as v1 does: UTC without a zone, six fraction digits, none if the
 * fraction is zero.
 *
 * @param column a constant SQL expression, never client input
 */
export const timeText = (column: string): string =>
  `replace(to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '')`;

/**
 * Builds a task as list and create answer it. `processed_images` and `progress` follow the old backend's
 * list: counted for a processing task, everything for a completed one, nothing for a pending one, and the
 * stored numbers for the others. Tasks created here have counters instead of stored numbers.
 *
 * @param total a constant SQL expression for `total_images`
 */
export const taskText = (sql: Sql, total = "t.total_images") =>
  sql`concat(
    '{"id":', ${sql.unsafe(taskIdJson)}, ',"task_name":', to_json(t.task_name),
    ',"username":', to_json(t.username), ',"status":"', t.status,
    '","created_at":"', ${sql.unsafe(timeText("t.created_at"))},
    '","updated_at":"', ${sql.unsafe(timeText("t.updated_at"))}, '","total_images":', ${sql.unsafe(total)},
    ',"processed_images":', ${sql.unsafe(listedProcessed)}, ',"progress":', ${sql.unsafe(listedProgress)},
    ',"priority":', t.priority, '}'
  )`;

const counted = "(t.subtasks_completed + t.subtasks_failed)";
const countedShare = `coalesce(100 * ${counted} / nullif(t.subtasks_total, 0), 0)`;

/** A number that the document of a migrated task stored; 0 if it stored none. */
const stored = (name: "processed_images" | "progress") =>
  `case when t.extra ->> '${name}' ~ '^[0-9]{1,9}([.]0)?$' then (t.extra ->> '${name}')::numeric::integer else 0 end`;

const listed = (ofCompleted: string, count: string, name: "processed_images" | "progress") =>
  `case t.status when 'completed' then ${ofCompleted} when 'pending' then 0 when 'processing' then ${count} ` +
  `else case when t.generation is null then ${count} else ${stored(name)} end end`;

/** SQL text for the numbers of the task `t` in a list. */
export const listedProcessed = listed("t.total_images", counted, "processed_images");
export const listedProgress = listed("100", countedShare, "progress");
