/** Tasks as v2 shows them. */
import { numberCells } from "./cell_places.ts";
import type { Pool } from "../pg/connect.ts";

/**
 * How cells without a seed of their own get one. `shared`: one for the task; `per_combination`: one for each combination
 * of the content axes, which treatments share; `pinned`: one that is given; to each of these the number of the replicate
 * is added. `per_cell`: each its own, as v1 always did.
 */
export const seedPolicies = ["shared", "per_combination", "per_cell", "pinned"] as const;
export type SeedPolicy = (typeof seedPolicies)[number];

/** What an axis is for; one without a role counts as a treatment. */
export const axisRoles = ["treatment", "content", "replicate"] as const;
export type AxisRole = (typeof axisRoles)[number];

/** What the image API takes at most. */
export const seedMax = 2_147_483_647;

export const taskStatuses = ["pending", "processing", "completed", "failed", "cancelled"] as const;
export type TaskStatus = (typeof taskStatuses)[number];

/** What a call about a task's cells needs of the task. */
export interface OpenTask {
  id: string;
  owned: boolean;
  blind: boolean;
  revision: string;
  status: TaskStatus;
}

const uuidForm = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/**
 * A task that is there and not deleted, its cells with their places.
 *
 * @param id any text: what is no UUID is not found
 * @param email whose task it is asked to be; a task is its submitter's by e-mail, as it always was
 */
export async function findOpenTask(
  pool: Pool,
  id: string,
  email: string | null,
): Promise<OpenTask | undefined> {
  if (!uuidForm.test(id)) return undefined;
  const [row] = await pool<(OpenTask & { unnumbered: boolean })[]>`
    select id, username is not distinct from ${email} as owned, blind, revision::text, status,
      generation is not null and not cells_numbered as unnumbered
    from tasks
    where id = ${id} and not is_deleted`;
  if (!row) return undefined;
  const { unnumbered, ...task } = row;
  if (unnumbered) await numberCells(pool, id);
  return task;
}
