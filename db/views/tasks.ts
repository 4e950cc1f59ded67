/** Tasks as v2 shows them. */
import { isUuid } from "../../uuid.ts";
import { numberCells } from "./cell_places.ts";
import type { Pool } from "../pg/connect.ts";

import type { TaskStatus } from "../queue/task_fields.ts";
/** What a call about a task's cells needs of the task. */
export interface OpenTask {
  id: string;
  owned: boolean;
  blind: boolean;
  revision: string;
  status: TaskStatus;
}

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
  if (!isUuid(id)) return undefined;
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
