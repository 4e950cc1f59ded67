/** Inserts tasks for tests. */
import { type Json, parseJson } from "../../../json.ts";
import { silentLog } from "../../../log.ts";
import { submitTask } from "../../../jobs/moves/submit.ts";
import type { TestApi } from "../../support/api.ts";
import type { Person } from "../../support/people.ts";

const tags = parseJson('[{"id":"1","type":"prompt","isVariable":false,"value":"a cat"}]') as Json[];

/** Creates a task of one subtask and returns its id. */
export async function addTask(
  { database: { sql } }: Pick<TestApi, "database">,
  owner: Person,
  { name = "a task", deleted = false }: { name?: string; deleted?: boolean } = {},
): Promise<string> {
  const { id, email } = owner;
  const input = { user: { id, email }, taskName: name, tags, variables: new Map(), settings: new Map() };
  const task = await submitTask({ sql, log: silentLog }, input);
  if (deleted) await sql`update tasks set is_deleted = true where id = ${task.id}`;
  return task.id;
}
