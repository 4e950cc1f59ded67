/**
 * The ids of tasks as v1 shows and accepts them. The id of a document can be any text. If it is not a UUID in lower
 * case, the row has a UUID that is derived from it, `extra` keeps it, and v1 still answers it and finds the task by it.
 */
import { isUuid, isUuidOfAnyCase, taskUuidOf } from "../../uuid.ts";
import type { Sql } from "../pg/connect.ts";
import { keptText } from "../pg/extra.ts";

/** SQL text for the JSON text of the id that the task `t` had in the old backend, if it is not the row's id. */
export const oldTaskIdJson = `case
  when t.extra is null then null
  when t.generation = 'T3' then ${keptText("t.extra", "id")}
  when t.generation in ('T1', 'T2') then ${keptText("t.extra", "task_uuid")}
end`;

/** SQL text for the JSON text of the id of the task `t`. */
export const taskIdJson = `coalesce(${oldTaskIdJson}, '"' || t.id || '"')`;

/**
 * Returns the UUID of the task with an id of v1: its UUID, or the id of its document. Ids are compared exactly, so
 * capital letters make another id. A UUID is returned without a look-up.
 *
 * @param id any text
 */
export async function findTaskUuid(sql: Sql, id: string): Promise<string | undefined> {
  if (isUuid(id)) return id;
  const uuid = isUuidOfAnyCase(id) ? id.toLowerCase() : taskUuidOf(id);
  const [row] = await sql<{ id: string }[]>`
    select t.id from tasks as t where t.id = ${uuid} and ${sql.unsafe(oldTaskIdJson)} = ${
    JSON.stringify(id)
  }`;
  return row?.id;
}
