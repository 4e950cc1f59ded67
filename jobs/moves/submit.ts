/** Turns a create request into rows: a task and all its cells in one statement. Does not need Redis. */
import type { Sql } from "../../db/pg/connect.ts";
import { insertTask, type TaskRow } from "../../db/queue/tasks.ts";
import { type Json, type JsonObject, stringifyJson } from "../../json.ts";
import type { Log } from "../../log.ts";
import { expandTask } from "../matrix/expand.ts";
import type { SeedRule } from "../matrix/seeds.ts";
import { factorCells, readLengths } from "../matrix/factor.ts";
import { spreadCells } from "../matrix/spread.ts";

export interface TaskInput {
  user: { id: string; email: string };
  taskName: string;
  tags: Json[];
  variables: JsonObject;
  settings: JsonObject;
  /** Above 1, all cells go to the queue `high`. */
  priority?: number;
  /** If absent, each cell draws its own seed and the axes have no roles. */
  seedRule?: SeedRule;
  /** Hides the ratings of others from raters who have not rated the image. */
  blind?: boolean;
}

/** The stored row of a new task, and the number that v1 answers to the create call. */
export interface SubmittedTask extends TaskRow {
  /** The product of the level counts. The stored `total_images` also counts the repeats of `batch`. */
  images_expected: number;
}

/**
 * Expands a task and stores it with all its cells. Both are durable when the call returns; the commit wakes
 * the workers.
 *
 * @throws AppError invalid_request for the same reasons as `expandTask`
 */
export async function submitTask(
  { sql, log }: { sql: Sql; log: Log },
  { user, taskName, tags, variables, settings, priority = 1, seedRule, blind = false }: TaskInput,
): Promise<SubmittedTask> {
  const started = performance.now();
  const { total, imagesExpected, variablesStored, settingsStored, promptParts, cells } = expandTask({
    tags,
    variables,
    settings,
  }, seedRule === undefined ? {} : { seedRule });
  const seedPolicy = seedRule?.policy ?? "per_cell";
  const row = await insertTask(sql, {
    task_name: taskName,
    username: user.email,
    owner_id: user.id,
    tags: stringifyJson(tags),
    variables: stringifyJson(variablesStored),
    settings: stringifyJson(settingsStored),
    priority,
    blind,
    seed_policy: seedPolicy,
    axis_roles: seedRule === undefined ? null : JSON.stringify(seedRule.roles),
    images_expected: imagesExpected,
    ...factorCells([...cells], {
      drawOrder: spreadCells(readLengths(variables, total)),
      isUrgent: priority > 1,
      promptParts,
      fingerprinted: seedPolicy !== "per_cell",
    }),
  });
  log.info("task submitted", {
    task_id: row.id,
    cells: total,
    duration_ms: Math.round(performance.now() - started),
  });
  return { ...row, images_expected: imagesExpected };
}
