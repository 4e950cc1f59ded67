/** From a create call to rows: a task and all its cells in one statement. Needs no Redis. */
import type { Sql } from "../db/connect.ts";
import { cellSeparator, type Column, insertTask, type NewTask, type TaskRow } from "../db/tasks.ts";
import { type Json, type JsonObject, stringifyJson } from "../json.ts";
import type { Log } from "../log.ts";
import { type Cell, expandTask } from "./expand.ts";
import { promptsWithoutAny } from "./expand_prompts.ts";
import { spreadCells } from "./spread.ts";

export interface TaskOrder {
  user: { id: string; email: string };
  taskName: string;
  tags: Json[];
  variables: JsonObject;
  settings: JsonObject;
  /** Over 1: the queue `high`. */
  priority?: number;
}

const counterMax = 0x1000000;

/** Nine bytes that all cells of a task share: 4 of seconds, 5 random, as a MongoDB ObjectId starts. */
function drawLegacyPrefix(): string {
  const seconds = Math.floor(Date.now() / 1000).toString(16).padStart(8, "0");
  return seconds + crypto.getRandomValues(new Uint8Array(5)).toHex();
}

const drawBelow = (limit: number): number => crypto.getRandomValues(new Uint32Array(1))[0]! % limit;

function joinColumns(cells: Cell[], axes: number[], high: boolean): NewTask["columns"] {
  const order = spreadCells(axes);
  const join = (read: (cell: Cell) => string | number | bigint | boolean): Column => {
    const values = cells.map(read);
    const [first] = values;
    return values.every((value) => value === first)
      ? { same: String(first) }
      : { joined: values.join(cellSeparator) };
  };
  return {
    variable_indices: join(({ variable_indices }) =>
      `{${variable_indices.map((index) => index ?? "null").join(",")}}`
    ),
    ratio: join(({ ratio }) => ratio.replaceAll(cellSeparator, " ")),
    seed: join(({ seed }) => seed),
    use_polish: join(({ use_polish }) => use_polish),
    queue: join(({ queue }) => high ? "high" : queue),
    client_args: join(({ client_args }) => client_args ?? ""),
    spread: join(({ cell }) => order[cell] ?? cell),
  };
}

/** Lengths of the matrix, slowest axis first; what repeats a combination is the fastest. */
function readLengths(variables: JsonObject, total: number): number[] {
  const lengths = Array.from({ length: 6 }, (_, slot) => {
    const variable = variables.get(`v${slot}`);
    const values = variable instanceof Map ? variable.get("values") : undefined;
    return Array.isArray(values) ? values.length : 0;
  }).filter((length) => length > 0);
  const combinations = lengths.reduce((product, length) => product * length, 1);
  return [...lengths, total / combinations];
}

/**
 * Expands a task and stores it with all its cells, durable when this returns; workers are woken by the commit.
 *
 * @returns the task's row; its `total_images` is what the create call answers, the product of the value counts
 * (the stored one counts `batch` too)
 * @throws AppError invalid_request as `expandTask` does
 */
export async function submitTask(
  { sql, log }: { sql: Sql; log: Log },
  { user, taskName, tags, variables, settings, priority = 1 }: TaskOrder,
): Promise<TaskRow> {
  const started = performance.now();
  const { total, imagesExpected, variablesStored, settingsStored, promptParts, cells } = expandTask({
    tags,
    variables,
    settings,
  });
  const all = [...cells];
  const row = await insertTask(sql, {
    task_name: taskName,
    username: user.email,
    owner_id: user.id,
    tags: stringifyJson(tags),
    variables: stringifyJson(variablesStored),
    settings: stringifyJson(settingsStored),
    priority,
    total,
    images_expected: imagesExpected,
    variable_types_map: all[0]?.variable_types_map ?? "{}",
    type_to_variable: all[0]?.type_to_variable ?? "{}",
    legacy_prefix: drawLegacyPrefix(),
    legacy_counter: drawBelow(counterMax - total),
    ...{ promptParts, promptsWithoutAny },
    columns: joinColumns(all, readLengths(variables, total), priority > 1),
  });
  log.info("task submitted", {
    task_id: row.id,
    cells: total,
    duration_ms: Math.round(performance.now() - started),
  });
  return { ...row, total_images: imagesExpected };
}
