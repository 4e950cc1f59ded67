/** From a create call to rows: a task and all its cells in one statement. Needs no Redis. */
import type { Sql } from "../../db/pg/connect.ts";
import { insertTask, type TaskRow } from "../../db/queue/tasks.ts";
import { type Json, type JsonObject, stringifyJson } from "../../json.ts";
import type { Log } from "../../log.ts";
import { expandTask } from "../matrix/expand.ts";
import type { SeedRule } from "../matrix/seeds.ts";
import { factorCells, readLengths } from "../matrix/factor.ts";
import { spreadCells } from "../matrix/spread.ts";

export interface TaskOrder {
  user: { id: string; email: string };
  taskName: string;
  tags: Json[];
  variables: JsonObject;
  settings: JsonObject;
  /** Over 1: the queue `high`. */
  priority?: number;
  /** Absent: each cell draws its own, and what the task's axes are for is not said. */
  seedRule?: SeedRule;
  /** Ratings of others are hidden from who has not rated the image. */
  blind?: boolean;
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
  { user, taskName, tags, variables, settings, priority = 1, seedRule, blind = false }: TaskOrder,
): Promise<TaskRow> {
  const started = performance.now();
  const { total, imagesExpected, variablesStored, settingsStored, promptParts, cells } = expandTask({
    tags,
    variables,
    settings,
  }, seedRule === undefined ? {} : { seedRule });
  const seedPolicy = seedRule?.policy ?? "per_cell";
  const all = [...cells];
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
    ...factorCells(all, {
      order: spreadCells(readLengths(variables, total)),
      high: priority > 1,
      promptParts,
      fingerprinted: seedPolicy !== "per_cell",
    }),
  });
  log.info("task submitted", {
    task_id: row.id,
    cells: total,
    duration_ms: Math.round(performance.now() - started),
  });
  return { ...row, total_images: imagesExpected };
}
