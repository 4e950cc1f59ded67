/** The doctor's findings over v2. */
import assert from "node:assert/strict";
import { startApi } from "../support/api.ts";
import { waitFor } from "../support/wait.ts";
import { addMatrix, addPeople, call } from "./support/api.ts";

const path = "/system/doctor";

Deno.test("a healthy queue has no findings, and its held tasks are a note", async () => {
  await using api = await startApi();
  const { manager, user } = await addPeople(api);
  await addMatrix(api, user);
  // The notice of the end is there, as a worker would have written it.
  await api.database
    .sql`insert into outbox (task_id, kind, closed_at) select id, 'completed', now() from tasks`;
  const healthy = await call(api, manager, "GET", path);
  assert.equal(healthy.status, 200, healthy.text);
  assert.deepEqual(healthy.body, { checks: 11, findings: [] });
  await addMatrix(api, user, { drawn: 0 });
  await api.database.sql`update tasks set hold = 'pause' where status <> 'completed'`;
  const { body: { findings } } = await call(api, manager, "GET", path);
  assert.deepEqual(findings, [
    {
      check: "held_tasks",
      text: "tasks are held",
      fault: false,
      count: 1,
      about: ["pause"],
      repairable: false,
    },
  ]);
  assert.equal((await call(api, user, "GET", path)).status, 403);
});

Deno.test("faults are found with what they are about, and whether a repair is possible", async () => {
  await using api = await startApi();
  const { manager, user } = await addPeople(api);
  const { sql } = api.database;
  const wrong = await addMatrix(api, user);
  await sql`insert into outbox (task_id, kind, closed_at) select id, 'completed', now() from tasks`;
  await sql`update tasks set subtasks_completed = 5, subtasks_failed = 1 where id = ${wrong}`;
  // Work that no worker serves.
  await addMatrix(api, user, { drawn: 5 });
  const { body } = await call(api, manager, "GET", path);
  const shown = body.findings.map(({ check, fault, about, repairable }: Record<string, unknown>) => [
    check,
    fault,
    about,
    repairable,
  ]);
  assert.deepEqual(shown, [["queues", true, ["standard"], false], ["counters", true, [wrong], true]]);
});

Deno.test("a fault that has passed at the second look is left out", async () => {
  await using api = await startApi({ doctorSettleMs: 2_500 });
  const { manager, user } = await addPeople(api);
  const { sql } = api.database;
  const id = await addMatrix(api, user);
  await sql`insert into outbox (task_id, kind, closed_at) select id, 'completed', now() from tasks`;
  await sql`update tasks set subtasks_completed = 5, subtasks_failed = 1 where id = ${id}`;
  const answer = call(api, manager, "GET", path);
  // The request has passed the first look when it has read the counters.
  await waitFor("the first look", async () => {
    const [row] = await sql`
      select 1 from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid() and state = 'idle' and query like '%from outbox%'
        and query not like '%pg_stat_activity%'`;
    return row !== undefined;
  });
  await sql`update tasks set subtasks_completed = 6, subtasks_failed = 0 where id = ${id}`;
  assert.deepEqual((await answer).body.findings, []);
});
