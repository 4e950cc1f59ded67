/** The parts of v1's answers that list, detail and create share, as SQL that builds their JSON text. */
import { isUuid } from "../../uuid.ts";
import type { Sql } from "../pg/connect.ts";

/** Whether a path segment can be a task id; v1 compares ids exactly, so capitals are another id. */
export const isTaskId = (text: string): boolean => isUuid(text);

/**
 * A time as v1 writes it, as SQL text: naive UTC, six fraction digits, none when the fraction is zero.
 *
 * @param column an expression of our own, never a client's text
 */
export const timeText = (column: string): string =>
  `replace(to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '')`;

/**
 * A task as list and create answer it. The old backend's list counts only where a task is processing; it says
 * all of a completed one, nothing of a pending one, and of the rest what was stored when they ended, else nothing.
 * A task born here has counters instead.
 *
 * @param total what `total_images` says, an expression of our own
 */
export const taskText = (sql: Sql, total = "t.total_images") =>
  sql`concat(
    '{"id":"', t.id, '","task_name":', to_json(t.task_name), ',"username":', to_json(t.username),
    ',"status":"', t.status, '","created_at":"', ${sql.unsafe(timeText("t.created_at"))},
    '","updated_at":"', ${sql.unsafe(timeText("t.updated_at"))}, '","total_images":', ${sql.unsafe(total)},
    ',"processed_images":', ${sql.unsafe(listedProcessed)}, ',"progress":', ${sql.unsafe(listedProgress)},
    ',"priority":', t.priority, '}'
  )`;

const counted = "(t.subtasks_completed + t.subtasks_failed)";
const countedShare = `coalesce(100 * ${counted} / nullif(t.subtasks_total, 0), 0)`;

/** What the document of a task that was brought over said of itself; 0 where it said nothing. */
const stored = (name: "processed_images" | "progress") =>
  `case when t.extra ->> '${name}' ~ '^[0-9]{1,9}([.]0)?$' then (t.extra ->> '${name}')::numeric::integer else 0 end`;

const listed = (ofCompleted: string, count: string, name: "processed_images" | "progress") =>
  `case t.status when 'completed' then ${ofCompleted} when 'pending' then 0 when 'processing' then ${count} ` +
  `else case when t.generation is null then ${count} else ${stored(name)} end end`;

const listedProcessed = listed("t.total_images", counted, "processed_images");
const listedProgress = listed("100", countedShare, "progress");
