/** Access to a task through v2. */
import { isUuid } from "../../uuid.ts";
import { numberCells } from "./cell_numbers.ts";
import type { Pool } from "../pg/connect.ts";
import type { TaskStatus } from "../queue/task_fields.ts";

/** The task fields that every request on a task needs. */
export interface OpenTask {
  id: string;
  /** The e-mail of the request is that of the submitter. */
  owned: boolean;
  blind: boolean;
  revision: string;
  status: TaskStatus;
}

/**
 * Finds a task, unless it is deleted. The cells of a migrated task are numbered at the first access.
 *
 * @param id any text; a text that is not a UUID names no task
 * @param email e-mail of the principal; null for a share
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
