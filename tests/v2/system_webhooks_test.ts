/** The webhooks of all tasks. */
import assert from "node:assert/strict";
import { startApi } from "../support/api.ts";
import { addMatrix, addPeople, call } from "./support/api.ts";

Deno.test("an admin lists the webhooks of all tasks in pages, with the outcome of their deliveries", async () => {
  await using api = await startApi();
  const { admin, manager, user } = await addPeople(api);
  const { sql } = api.database;
  const task = await addMatrix(api, user, { name: "spring" });
  await sql`
    insert into webhooks (task_id, url, secret, events, created_by, created_at)
    select ${task}, 'https://hooks.example/' || n, 'whsec_secret_secret', '{completed}', ${user.id},
      now() - n * interval '1 min'
    from generate_series(1, 3) as n`;
  await sql`
    insert into deliveries (webhook_id, event, tries, closed_at, status, error)
    select id, 'completed', d.tries, d.closed_at, d.status, d.error
    from webhooks
    cross join (values (1, now(), 200, null), (9, now(), 500, 'HTTP 500'), (1, null, 503, 'HTTP 503'), (0, null, null, null))
      as d (tries, closed_at, status, error)
    where url like '%/1'`;
  const first = await call(api, admin, "GET", "/system/webhooks?limit=2");
  assert.equal(first.status, 200, first.text);
  const [newest] = first.body.items;
  const { id, created_at, ...rest } = newest;
  assert.ok(id && Date.parse(created_at));
  assert.deepEqual(rest, {
    url: "https://hooks.example/1",
    events: ["completed"],
    created_by: user.email,
    task_id: task,
    task_name: "spring",
    waiting: 2,
    arrived: 1,
    given_up: 1,
    error: "HTTP 503",
  });
  assert.ok(!first.text.includes("whsec"), "without the secret");
  const second = await call(api, admin, "GET", `/system/webhooks?limit=2&cursor=${first.body.next}`);
  assert.deepEqual(second.body.items.map(({ url }: { url: string }) => url), ["https://hooks.example/3"]);
  assert.equal(second.body.next, null);
  assert.equal((await call(api, manager, "GET", "/system/webhooks")).status, 403);
  assert.equal((await call(api, admin, "GET", "/system/webhooks?cursor=x")).status, 422);
});
