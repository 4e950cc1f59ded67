/** Imported rows of the benches. */
import assert from "node:assert/strict";
import { importedEmail, importTasks } from "../../bench/imported.ts";
import { createDatabase } from "../support/database.ts";

Deno.test("importTasks() loads documents of the newest form beside own rows, in each of its forms", async () => {
  await using database = await createDatabase();
  const { sql, url } = database;
  await sql`insert into users (email, hashed_password) values ('own@example.com', 'x')`;
  const [floats, objects] = [crypto.randomUUID(), crypto.randomUUID()];
  await importTasks(url, [
    { id: floats, name: "imported, float seeds", form: "float seeds", lengths: [3, 2, 2] },
    { id: objects, name: "imported, indices as objects", form: "indices as objects", lengths: [2, 1, 1] },
  ]);
  const tasks = await sql`
    select id, username, status, subtasks_total, subtasks_completed, owner_id is not null as has_owner
    from tasks order by subtasks_total desc`;
  const task = { username: importedEmail, status: "completed", has_owner: true };
  assert.deepEqual(tasks.map((row) => ({ ...row })), [
    { id: floats, ...task, subtasks_total: 12, subtasks_completed: 12 },
    { id: objects, ...task, subtasks_total: 2, subtasks_completed: 2 },
  ]);
  const cells = await sql`
    select generation, variable_indices::text as indices, seed::text as seed, extra::text as extra
    from subtasks where parent_task_id = ${floats} order by legacy_id`;
  assert.deepEqual({ ...cells[11]! }, {
    generation: "S4",
    indices: "{2,1,1,NULL,NULL,NULL}",
    seed: "100011",
    extra: '{"seed":100011.0}',
  });
  const [last] = await sql`
    select extra::text as extra from subtasks where parent_task_id = ${objects} order by legacy_id desc limit 1`;
  assert.equal(last!.extra, '{"variable_indices":{"v0":1,"v1":0,"v2":0}}');
});
