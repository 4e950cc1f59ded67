/** v2 shows the UUID of each migrated row, and beside it the id that the document had. */
import assert from "node:assert/strict";
import { isUuid, taskUuidOf } from "../../../uuid.ts";
import { startApi } from "../../support/api.ts";
import { emailOf, loadOldIds, readUuid, subtaskIds, taskIds, userIds } from "../../support/old_ids.ts";
import { addPeople, call } from "../support/api.ts";

const api = await startApi();
const { sql } = api.database;
Deno.test.afterAll(async () => await api[Symbol.asyncDispose]());
const { admin } = await addPeople(api);
await loadOldIds(sql);

async function get(path: string) {
  const { status, body } = await call(api, admin, "GET", path);
  assert.equal(status, 200, path);
  return body;
}

for (const [n, [name, , shown]] of taskIds.entries()) {
  Deno.test(`v2 shows the UUID and the old id of a task whose id is ${name}`, async () => {
    const uuid = await readUuid(sql, n);
    const old_id = shown === undefined || isUuid(shown) ? null : shown;
    const item = await get(`/tasks/${uuid}`);
    assert.deepEqual([item.id, item.old_id], [uuid, old_id]);
    const { items } = await get("/tasks?limit=100");
    assert.equal(items.find((one: { id: string }) => one.id === uuid).old_id, old_id);
  });
}

Deno.test("v2 shows the UUID and the old id of a cell", async () => {
  const uuid = taskUuidOf("task-0042");
  await get(`/tasks/${uuid}/cells?ids=0`);
  const cells = await Promise.all(subtaskIds.map((_, cell) => get(`/tasks/${uuid}/cells/${cell}`)));
  for (const cell of cells) assert.ok(isUuid(cell.id), cell.id);
  assert.deepEqual(
    cells.map((cell) => cell.old_id).filter((id) => id !== null).toSorted(),
    subtaskIds.map(([, id]) => id).filter((id) => !isUuid(id)).toSorted(),
  );
});

for (const [n, [name, , shown]] of userIds.entries()) {
  Deno.test(`v2 shows the UUID and the old id of a user whose _id is ${name}`, async () => {
    const [row] = await sql<{ id: string }[]>`select id from users where email = ${emailOf(n)}`;
    const account = await get(`/users/${row!.id}`);
    assert.deepEqual([account.id, account.old_id], [row!.id, shown]);
  });
}

Deno.test("v2 shows no old id of a user who was created here", async () => {
  assert.equal((await get(`/users/${admin.id}`)).old_id, null);
});
