/** Dead letters: their list, their causes, and drawing them again. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../support/api.ts";
import type { Person } from "../support/people.ts";
import { addMatrix, addPeople, call } from "./support/api.ts";

const path = "/system/dead-letters";

/** Adds a task whose cells failed, one a second, with alternating causes. */
async function addFailed(api: TestApi, owner: Person, name: string): Promise<string> {
  const { sql } = api.database;
  const id = await addMatrix(api, owner, { name });
  await sql`
    update subtasks
    set status = 'failed', image_url = null, result = null, completed_at = now() - cell * interval '1 s',
      error = case when cell % 3 = 0 then 'HTTP 451' else 'HTTP 500' end
    where parent_task_id = ${id}`;
  await sql`
    update tasks set status = 'failed', subtasks_completed = 0, subtasks_failed = 6 where id = ${id}`;
  return id;
}

const countFailed = async ({ database: { sql } }: TestApi, id: string): Promise<number> =>
  (await sql`select from subtasks where parent_task_id = ${id} and status = 'failed'`).length;

Deno.test("dead letters are listed newest first in pages, filtered, and counted by cause", async () => {
  await using api = await startApi();
  const { manager, user, other } = await addPeople(api);
  const one = await addFailed(api, user, "one");
  const two = await addFailed(api, other, "two");
  const seen: string[] = [];
  for (let cursor = ""; cursor !== "end";) {
    const { status, body, text } = await call(api, manager, "GET", `${path}?limit=5${cursor}`);
    assert.equal(status, 200, text);
    seen.push(...body.items.map(({ task_id, cell }: Record<string, unknown>) => `${task_id} ${cell}`));
    cursor = body.next === null ? "end" : `&cursor=${body.next}`;
  }
  assert.equal(new Set(seen).size, 12, "each once");
  assert.equal(seen.length, 12);
  assert.deepEqual(seen.filter((key) => key.startsWith(one)).map((key) => key.at(-1)), [..."012345"]);
  const { body } = await call(api, manager, "GET", `${path}?task=${two}&cause=http%20451`);
  assert.deepEqual(
    body.items.map(({ task_name, cell, cause, attempt }: Record<string, unknown>) => [
      task_name,
      cell,
      cause,
      attempt,
    ]),
    [["two", 0, "HTTP 451", 1], ["two", 3, "HTTP 451", 1]],
  );
  const causes = async (query: string) =>
    (await call(api, manager, "GET", `${path}/causes${query}`)).body.items;
  assert.deepEqual(await causes(""), [{ cause: "HTTP 500", cells: 8 }, { cause: "HTTP 451", cells: 4 }]);
  assert.deepEqual(await causes(`?task=${one}&cause=500`), [{ cause: "HTTP 500", cells: 4 }]);
  assert.deepEqual(await causes("?since=2999-01-01T00:00:00Z"), []);
  assert.equal((await call(api, user, "GET", path)).status, 403);
  assert.equal((await call(api, user, "GET", `${path}/causes`)).status, 403);
});

Deno.test("managers draw dead letters again by cells, by a filter, or all, and a repeated call changes nothing", async () => {
  await using api = await startApi();
  const { manager, admin, user, other } = await addPeople(api);
  const one = await addFailed(api, user, "one");
  const two = await addFailed(api, other, "two");
  const cancelled = await addFailed(api, other, "cancelled");
  await api.database.sql`update tasks set status = 'cancelled' where id = ${cancelled}`;
  const replay = async (body: unknown) => {
    const answer = await call(api, manager, "POST", `${path}/replay`, body);
    assert.equal(answer.status, 200, answer.text);
    return answer.body;
  };
  const cells = [{ task: one, cell: 1 }, { task: one, cell: 2 }, { task: two, cell: 1 }];
  assert.deepEqual(await replay({ cells }), { tasks: 2, cells: 3, held: 0 });
  assert.deepEqual(await replay({ cells }), { tasks: 0, cells: 0, held: 0 });
  assert.deepEqual(await replay({ cells: [{ task: two, cell: 4 }], task: one }), {
    tasks: 0,
    cells: 0,
    held: 0,
  });
  assert.deepEqual(await replay({ cells: [{ task: two, cell: 4 }], cause: "451" }), {
    tasks: 0,
    cells: 0,
    held: 0,
  });
  assert.deepEqual(await replay({ cause: "451", task: two }), { tasks: 1, cells: 2, held: 0 });
  assert.deepEqual(await replay({ cells: [{ task: cancelled, cell: 0 }] }), { tasks: 0, cells: 0, held: 0 });
  assert.deepEqual([await countFailed(api, one), await countFailed(api, two)], [4, 3]);
  const all = await call(api, admin, "POST", `${path}/replay`, { all: true });
  assert.deepEqual(all.body, { tasks: 2, cells: 7, held: 0 });
  assert.equal(await countFailed(api, cancelled), 6);
  const [task] = await api.database.sql`select status, subtasks_failed from tasks where id = ${one}`;
  assert.deepEqual([task!.status, task!.subtasks_failed], ["processing", 0]);
});

Deno.test("a replay without a choice or with invalid values is refused by the field, and by the role", async () => {
  await using api = await startApi();
  const { manager, user } = await addPeople(api);
  const task = await addFailed(api, user, "one");
  const cases: [unknown, string][] = [
    [{}, "body"],
    [{ all: false }, "body.all"],
    [{ cells: [] }, "body.cells"],
    [{ cells: [{ task, cell: -1 }] }, "body.cells.0.cell"],
    [{ cells: [{ task: "x", cell: 1 }] }, "body.cells.0.task"],
    [{ cells: [{ task, cell: 1, id: 2 }] }, "body.cells.0.id"],
    [{ cause: "" }, "body.cause"],
    [{ cause: "a\0" }, "body.cause"],
    [{ since: "yesterday" }, "body.since"],
    [{ all: true, by: "me" }, "body.by"],
  ];
  for (const [body, field] of cases) {
    const answer = await call(api, manager, "POST", `${path}/replay`, body);
    assert.deepEqual([answer.status, answer.body.errors?.[0].field], [422, field], answer.text);
  }
  for (const query of ["cursor=x", "limit=0", "task=1", "since=1", "cursor=WzFd"]) {
    assert.equal((await call(api, manager, "GET", `${path}?${query}`)).status, 422, query);
  }
  assert.equal((await call(api, user, "POST", `${path}/replay`, { all: true })).status, 403);
  assert.equal(await countFailed(api, task), 6);
});
