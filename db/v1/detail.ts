/**
 * v1's task detail: one statement for an ordinary task, further statements for the batches of a large one.
 */
import type { Sql } from "../pg/connect.ts";
import { Packer, streamPieces, toBytes, toText } from "../pg/json_stream.ts";
import { isUuid } from "../../uuid.ts";
import { listedProcessed, listedProgress, timeText } from "./fields.ts";
import { Cells } from "./cells.ts";
import { taskIdJson } from "./task_ids.ts";
import { type Cell, cellColumns, cellLength } from "./subtask.ts";
import { notedSubtasks } from "./usual_extra.ts";

/** Maximum subtasks of the first statement. A common task has 3,024; its whole text fits into memory. */
const batchRowsMax = 4000;
/** Maximum subtasks of each further statement: about half a megabyte that waits for the reader. */
const furtherRowsMax = 1000;
/** Approximate maximum bytes of prompts in a statement. Long prompts make a batch smaller. */
const batchBytesMax = 16_000_000;

/** Separates the parts of one column: a character that JSON text never contains unescaped. */
const separator = 0x1e;

/** The texts that the first statement selects of a task, in order. */
const partNames = [
  "id",
  "status",
  "total",
  "completed",
  "failed",
  "listedProcessed",
  "listedProgress",
  "names",
  "times",
  "before",
  "variables",
  "settings",
  "error",
] as const;
type Parts = Record<typeof partNames[number], Uint8Array>;

/** The task's own fields, and its first batch of subtasks. */
interface Opening {
  parts: Parts;
  cells: Cells;
  /** Maximum rows of the first batch. */
  limit: number;
  /** Subtasks may exist after the first batch. */
  more: boolean;
}

/** Reads the task's row and its first subtasks in one statement. */
async function readOpening(sql: Sql, id: string, rowsMax: number): Promise<Opening | undefined> {
  let parts: Parts | undefined;
  let limit = 0;
  const cells = new Cells();
  await sql`
    with sample as materialized (
      select least(${rowsMax}::bigint, greatest(1, ${batchBytesMax} / max(octet_length(prompts::text)))) as rows
      from (select prompts from subtasks where parent_task_id = ${id} order by legacy_id limit 3) as s
    )
    select
      'task',
      (select rows::text from sample),
      concat_ws(
        e'\x1e',
        ${sql.unsafe(taskIdJson)},
        t.status, t.subtasks_total, t.subtasks_completed, t.subtasks_failed,
        ${sql.unsafe(listedProcessed)}, ${sql.unsafe(listedProgress)},
        concat('"task_name":', to_json(t.task_name), ',"username":', to_json(t.username)),
        concat(
          '"created_at":"', ${sql.unsafe(timeText("t.created_at"))}, '","updated_at":"',
          ${sql.unsafe(timeText("t.updated_at"))}, '","total_images":', t.total_images
        ),
        concat('"priority":', t.priority, ',"tags":', t.tags),
        t.variables,
        concat('"settings":', t.settings),
        coalesce(to_json(t.error)::text, 'null')
      ),
      ${sql.unsafe(new Array(cellLength - 3).fill("null").join())}
    from tasks as t
    where t.id = ${id}
    union all (
      select ${cellColumns(sql, "items")}
      from ${sql.unsafe(notedSubtasks)}
      where s.parent_task_id = ${id}
      order by s.legacy_id
      limit (select rows from sample)
    )`.raw().forEach((row) => {
    const cell = row as unknown as Cell;
    if (parts) return cells.add(cell);
    parts = splitParts(cell[2]!);
    limit = Number(toText(cell[1]));
    cells.setTask(parts.id);
  });
  return parts && { parts, cells, limit, more: cells.total > 0 && cells.total >= limit };
}

function splitParts(text: Uint8Array): Parts {
  const parts: Uint8Array[] = [];
  let from = 0;
  for (let at = text.indexOf(separator); at >= 0; at = text.indexOf(separator, from)) {
    parts.push(text.subarray(from, at));
    from = at + 1;
  }
  parts.push(text.subarray(from));
  return Object.fromEntries(partNames.map((name, i) => [name, parts[i]])) as Parts;
}

/**
 * Computes status and progress. Unlike the list, the detail derives them from the subtasks: if all have
 * completed or failed, the task is `completed` whatever is stored, or `failed` if none completed. Without subtasks
 * it answers what the list answers.
 */
function settle(
  { parts, cells, more }: Opening,
): { status: string; processed: number; progress: number; shows: boolean } {
  const stored = toText(parts.status);
  const numberOf = (name: keyof Parts) => Number(toText(parts[name]));
  const total = more ? numberOf("total") : cells.total;
  if (total === 0) {
    const processed = numberOf("listedProcessed");
    return { status: stored, processed, progress: numberOf("listedProgress"), shows: false };
  }
  const completed = more ? numberOf("completed") : cells.completed;
  const failed = more ? numberOf("failed") : cells.failed;
  const processed = completed + failed;
  const ended = processed >= total;
  const status = !ended ? stored : completed > 0 ? "completed" : "failed";
  return {
    status,
    processed,
    progress: Math.floor((100 * processed) / total),
    shows: completed > 0 && (status === "completed" || status === "processing"),
  };
}

/** Yields the packed pieces of the first batch and of all further batches, one statement each. */
async function* eachBatch(sql: Sql, id: string, { cells, limit, more }: Opening, part: "items" | "raw") {
  const rows = Math.min(limit, furtherRowsMax);
  let hasMore = more;
  while (hasMore) {
    yield* cells[part].takeFull();
    let read = 0;
    await sql`
      select ${cellColumns(sql, part)}
      from ${sql.unsafe(notedSubtasks)}
      where s.parent_task_id = ${id} and s.legacy_id > ${cells.last}
      order by s.legacy_id
      limit ${rows}`.raw().forEach((row) => {
      read++;
      if (part === "items") cells.addItem(row as unknown as Cell);
      else cells.addResult(row as unknown as Cell);
    });
    hasMore = read === rows;
  }
  yield* cells[part].take();
}

/** Returns `"v0":{},…` for the variables with values. The old backend's `results.matrix` never held more. */
function matrixText(variables: Uint8Array): string {
  const parsed: unknown = JSON.parse(toText(variables));
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed)) return "";
  return Object.entries(parsed)
    .filter(([, variable]) => Array.isArray(variable?.values) && variable.values.length > 0)
    .map(([name]) => `${JSON.stringify(name)}:{}`).join();
}

async function* detailPieces(sql: Sql, id: string, opening: Opening) {
  const { id: taskId, names, times, before, variables, settings, error } = opening.parts;
  const { status, processed, progress, shows } = settle(opening);
  const { last } = opening.cells;
  const packer = new Packer();
  const add = (...pieces: (Uint8Array | string)[]) =>
    pieces.forEach((piece) => packer.add(typeof piece === "string" ? toBytes(piece) : piece));
  add(
    '{"id":',
    taskId,
    ",",
    names,
    `,"status":"${status}",`,
    times,
    `,"processed_images":${processed},"progress":${progress},`,
  );
  add(before, ',"variables":', variables, ",", settings, ',"results":');
  if (shows) {
    add(`{"matrix":{${matrixText(variables)}},"raw":{`);
    yield* packer.take();
    yield* eachBatch(sql, id, opening, "raw");
    add("}}");
  } else add("null");
  add(',"error":', error, ',"dramatiq_tasks":[');
  yield* packer.take();
  opening.cells.last = last;
  yield* eachBatch(sql, id, opening, "items");
  yield toBytes("]}");
}

export interface DetailOptions {
  /** Maximum subtasks of the first statement. */
  rowsMax?: number;
}

/**
 * Opens the `data` of `GET /tasks/{id}` as a stream of JSON text; undefined if no task has the UUID. Deleted
 * tasks are answered too, as in the old backend. Memory holds one batch whatever the size of the task. No
 * connection is held between two batches, so a slow reader occupies none.
 */
export async function openTaskDetail(
  sql: Sql,
  id: string,
  { rowsMax = batchRowsMax }: DetailOptions = {},
): Promise<ReadableStream<Uint8Array> | undefined> {
  if (!isUuid(id)) return undefined;
  const opening = await readOpening(sql, id, rowsMax);
  return opening && streamPieces(detailPieces(sql, id, opening));
}
