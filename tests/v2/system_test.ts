/** Status, queues, workers and slot overrides. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../support/api.ts";
import { addMatrix, addPeople, call } from "./support/api.ts";

async function addFleet({ database: { sql } }: TestApi) {
  await sql`
    insert into queue_slots (queue, slots, wanted, reason)
    values ('high', 5, 5, 'at first'), ('standard', 10, 12, 'backlog 30 with 10 slots'), ('lumina', 24, 24, 'at first')`;
  const health = JSON.stringify({
    standard: { creates: 4, createMs: 1000, calls: 9, failures: 2, throttled: 1 },
  });
  await sql`
    insert into workers (id, host, pid, queues, slots, health, heartbeat_at)
    values
      ('a', 'one', 1, '{high,standard,lumina}', '{"standard":6,"high":5}', ${health}::text::jsonb, now()),
      ('b', 'two', 2, '{standard}', '{"standard":4}', ${health}::text::jsonb, now()),
      ('gone', 'three', 3, '{standard}', '{"standard":1}', '{}', now() - interval '1 hour')`;
  await sql`insert into leaders (role, holder, lease_until) values ('queue', 'a', now() + interval '1 minute')`;
}

/** Leases cell 3 of a task to worker `a`. */
async function startCell({ database: { sql } }: TestApi, task: string): Promise<void> {
  await sql`
    update subtasks set status = 'processing', lease_id = 1, worker_id = 'a', started_at = now()
    where parent_task_id = ${task} and cell = 3`;
}

Deno.test("the status reports workers, leader and backlog", async () => {
  await using api = await startApi();
  const { manager, user } = await addPeople(api);
  const empty = await call(api, manager, "GET", "/system/status");
  assert.equal(empty.status, 200, empty.text);
  const { schema, ...rest } = empty.body;
  assert.deepEqual(rest, {
    status: "degraded",
    database: "ok",
    redis: "unknown",
    version: "2",
    workers: 0,
    leader: false,
    backlog: 0,
    running: 0,
  });
  const [last] = await api.database.sql`select max(number) as number from migration.schema_steps`;
  assert.equal(schema.step, last!.number);
  await addFleet(api);
  await addMatrix(api, user, { drawn: 2 });
  const { body } = await call(api, manager, "GET", "/system/status");
  assert.deepEqual([body.status, body.workers, body.leader, body.backlog], ["ok", 2, true, 4]);
});

Deno.test("queues report slots, load and health", async () => {
  await using api = await startApi();
  const { manager, user } = await addPeople(api);
  await addFleet(api);
  const task = await addMatrix(api, user, { drawn: 2 });
  await startCell(api, task);
  const { body: { items } } = await call(api, manager, "GET", "/system/queues");
  assert.deepEqual(items.map(({ queue }: { queue: string }) => queue), ["high", "standard", "lumina"]);
  const { changed_at, ...standard } = items[1];
  assert.ok(Date.parse(changed_at) > 0);
  assert.deepEqual(standard, {
    queue: "standard",
    slots: 10,
    wanted: 12,
    reason: "backlog 30 with 10 slots",
    room: 10,
    running: 1,
    backlog: 3,
    workers: 2,
    rate_per_minute: null,
    override: null,
    changes: [],
    health: { calls: 18, failures: 4, throttled: 2, creates: 8, create_ms: 250 },
  });
});

Deno.test("queues list the latest changes of their slots, newest first", async () => {
  await using api = await startApi();
  const { manager } = await addPeople(api);
  await addFleet(api);
  await api.database.sql`
    insert into slot_changes (queue, slots_before, slots_after, reason)
    select case when n % 2 = 0 then 'high' else 'lumina' end, n, n + 1, 'change ' || n from generate_series(1, 13) as n`;
  const { body: { items: [high, standard, lumina] } } = await call(api, manager, "GET", "/system/queues");
  const before = ({ changes }: { changes: { slots_before: number }[] }) =>
    changes.map(({ slots_before }) => slots_before);
  assert.deepEqual(before(high), [12, 10, 8, 6, 4]);
  assert.deepEqual(before(lumina), [13, 11, 9, 7, 5]);
  assert.deepEqual(standard.changes, []);
  const { at, ...change } = high.changes[0];
  assert.ok(Date.parse(at) > 0);
  assert.deepEqual(change, { slots_before: 12, slots_after: 13, reason: "change 12" });
});

Deno.test("workers report whether they are alive and what they run", async () => {
  await using api = await startApi();
  const { manager, user } = await addPeople(api);
  await addFleet(api);
  const task = await addMatrix(api, user, { drawn: 2 });
  await startCell(api, task);
  const { body: workers } = await call(api, manager, "GET", "/system/workers");
  const seen = workers.items.map(({ id, running, alive }: Record<string, unknown>) => [id, running, alive]);
  assert.deepEqual(seen.sort(), [["a", 1, true], ["b", 0, true], ["gone", 0, false]]);
});

Deno.test("an admin sets and removes a slot override, which expires", async () => {
  await using api = await startApi();
  const { admin, manager } = await addPeople(api);
  await addFleet(api);
  const path = "/system/queues/standard";
  const override = { slots: 3, reason: "the API is being repaired", expires_in: 600 };
  assert.equal((await call(api, manager, "PATCH", path, { override })).status, 403);
  const set = await call(api, admin, "PATCH", path, { override });
  assert.equal(set.status, 200, set.text);
  const { made_at, expires_at, ...shown } = set.body.override;
  assert.deepEqual(shown, { slots: 3, reason: override.reason, made_by: admin.email });
  assert.equal(Math.round((Date.parse(expires_at) - Date.parse(made_at)) / 1000), 600);
  await call(api, admin, "PATCH", path, { override: { ...override, slots: 0 } });
  const [row] = await api.database.sql`select slots from slot_overrides where queue = 'standard'`;
  assert.equal(row!.slots, 0);
  const removed = await call(api, admin, "PATCH", path, { override: null });
  assert.equal(removed.body.override, null);
  await call(api, admin, "PATCH", path, { override });
  assert.equal((await call(api, admin, "DELETE", `${path}/override`)).status, 204);
  assert.equal((await call(api, admin, "DELETE", `${path}/override`)).status, 204);
  await call(api, admin, "PATCH", path, { override });
  await api.database.sql`update slot_overrides set expires_at = now() - interval '1 s'`;
  const { body: { items } } = await call(api, admin, "GET", "/system/queues");
  assert.equal(items[1].override, null);
});

Deno.test("an invalid override is rejected by the name of its field", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  await addFleet(api);
  const valid = { slots: 3, reason: "x", expires_in: 60 };
  const cases: [unknown, string][] = [
    [{}, "body.override"],
    [{ override: 5 }, "body.override"],
    [{ override: valid, slots: 3 }, "body.slots"],
    [{ override: { ...valid, slots: -1 } }, "body.override.slots"],
    [{ override: { ...valid, slots: 10_001 } }, "body.override.slots"],
    [{ override: { ...valid, slots: 1.5 } }, "body.override.slots"],
    [{ override: { ...valid, reason: "" } }, "body.override.reason"],
    [{ override: { ...valid, reason: "x".repeat(201) } }, "body.override.reason"],
    [{ override: { ...valid, expires_in: 0 } }, "body.override.expires_in"],
    [{ override: { ...valid, expires_in: 7 * 86_400 + 1 } }, "body.override.expires_in"],
    [{ override: { slots: 3, reason: "x" } }, "body.override.expires_in"],
    [{ override: { ...valid, made_by: "me" } }, "body.override.made_by"],
  ];
  for (const [body, field] of cases) {
    const answer = await call(api, admin, "PATCH", "/system/queues/standard", body);
    assert.deepEqual([answer.status, answer.body.errors?.[0].field], [422, field], answer.text);
  }
  for (const name of ["bogus", "STANDARD", "%00", "..", "constructor"]) {
    assert.equal(
      (await call(api, admin, "PATCH", `/system/queues/${name}`, { override: null })).status,
      404,
      name,
    );
  }
});
