/** Idempotency-Key: repeated requests do their work once, concurrently and after failures. */
import assert from "node:assert/strict";
import { runChores } from "../../jobs/lead/chores.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { startRig } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";
import { addMatrix, addPeople, call, type V2Person } from "./support/api.ts";

const body = { email: "new@example.com", password: "battery staple" };
const create = (api: TestApi, person: V2Person, key: string, user: unknown = body) =>
  call(api, person, "POST", "/users", user, { "idempotency-key": key });

const countNew = async ({ database: { sql } }: TestApi) =>
  (await sql`select count(*)::int as n from users where email like 'new%'`)[0]!.n;

Deno.test("a repeated request gets the same response byte for byte, and does nothing", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  const first = await create(api, admin, "k1");
  assert.equal(first.status, 201, first.text);
  assert.equal(first.headers.get("idempotent-replay"), null);
  await call(api, admin, "DELETE", `/users/${first.body.id}`);
  const again = await create(api, admin, "k1");
  assert.deepEqual([again.status, again.text], [first.status, first.text]);
  for (const name of ["location", "content-type"]) {
    assert.equal(again.headers.get(name), first.headers.get(name));
  }
  assert.equal(again.headers.get("idempotent-replay"), "true");
  assert.equal(await countNew(api), 0);
});

Deno.test("a key is rejected for another request, and is independent of the keys of other users", async () => {
  await using api = await startApi();
  const { admin, other, user } = await addPeople(api);
  await api.database.sql`update users set roles = '{admin}' where id = ${other.id}`;
  const task = await addMatrix(api, user);
  assert.equal((await create(api, admin, "k")).status, 201);
  assert.equal((await create(api, admin, "k", { ...body, fullname: "x" })).status, 409);
  const elsewhere = await call(api, admin, "POST", `/tasks/${task}/cells/0/evaluations`, body, {
    "idempotency-key": "k",
  });
  assert.ok([409, 422].includes(elsewhere.status), elsewhere.text);
  const evaluate = (person: V2Person) =>
    call(api, person, "POST", `/tasks/${task}/cells/0/evaluations`, { text: "good" }, {
      "idempotency-key": "e",
    });
  const mine = await evaluate(user);
  const theirs = await evaluate(other);
  assert.deepEqual([mine.status, theirs.status], [201, 201]);
  assert.notEqual(mine.body.id, theirs.body.id);
});

Deno.test("of many concurrent requests with one key, one does the work and all get its response", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  const answers = await Promise.all(Array.from({ length: 12 }, () => create(api, admin, "same")));
  assert.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1);
  assert.equal(answers[0]!.status, 201, answers[0]!.text);
  assert.equal(answers.filter(({ headers }) => headers.has("idempotent-replay")).length, 11);
  assert.equal(await countNew(api), 1);
});

/** Runs `during` while inserts into `users` wait for a lock within their transaction. */
async function whileUsersAreLocked(
  { database: { sql } }: TestApi,
  during: () => Promise<void>,
): Promise<void> {
  await sql.begin(async (transaction) => {
    await transaction`lock table users in share mode`;
    await during();
  });
}

/** Waits until an insert into `users` waits for the lock, and terminates its connection. */
async function terminateInsert({ database: { sql } }: TestApi): Promise<void> {
  await waitFor("an insert that waits", async () => {
    const terminated = await sql`
      select pg_terminate_backend(pid)
      from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%insert into users%'
        and pid <> pg_backend_pid()`;
    return terminated.length > 0;
  });
}

async function waitForLock({ database: { sql } }: TestApi, statement: string): Promise<void> {
  await waitFor(`'${statement}' to wait for a lock`, async () => {
    const waiting = await sql`
      select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like ${`%${statement}%`}`;
    return waiting.length > 0;
  });
}

Deno.test("a request that fails in the middle leaves nothing, and its repetition does the work", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  let first: ReturnType<typeof create> | undefined;
  await whileUsersAreLocked(api, async () => {
    first = create(api, admin, "failing");
    await terminateInsert(api);
  });
  const failed = await first!;
  assert.deepEqual([failed.status, failed.body.type], [503, "urn:contactsheet:problem:busy"], failed.text);
  assert.equal(await countNew(api), 0);
  const again = await create(api, admin, "failing");
  assert.deepEqual([again.status, again.headers.get("idempotent-replay")], [201, null], again.text);
  assert.equal((await create(api, admin, "failing")).text, again.text);
  assert.equal(await countNew(api), 1);
});

Deno.test("a request that waits for one that fails does the work itself", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  let both: ReturnType<typeof create>[] = [];
  await whileUsersAreLocked(api, async () => {
    both = [create(api, admin, "two")];
    await waitForLock(api, "insert into users");
    both.push(create(api, admin, "two"));
    // The second request waits for the key of the first.
    await waitForLock(api, "insert into idempotency_keys");
    await terminateInsert(api);
  });
  const [first, second] = await Promise.all(both);
  assert.deepEqual([first!.status, second!.status], [503, 201], second!.text);
  assert.equal(await countNew(api), 1);
});

Deno.test("an error is not stored: the key can be used again", async () => {
  await using api = await startApi();
  const { admin, user } = await addPeople(api);
  const taken = { ...body, email: user.email };
  assert.equal((await create(api, admin, "k", taken)).status, 409);
  await call(api, admin, "DELETE", `/users/${user.id}`);
  assert.equal((await create(api, admin, "k", taken)).status, 201);
});

Deno.test("a key has 1 to 255 visible characters", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  for (const key of ["", "a b", "x".repeat(256), "é"]) {
    const answer = await create(api, admin, key, { ...body, email: `new${key.length}@example.com` });
    assert.deepEqual([answer.status, answer.body.errors?.[0].field], [422, "idempotency-key"], key);
  }
  assert.equal(await countNew(api), 0);
  assert.equal((await create(api, admin, "!".repeat(255))).status, 201);
});

Deno.test("the stored response and the stored hash of the request are unreadable without the secret key", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  await create(api, admin, "k");
  const [row] = await api.database
    .sql`select body, encode(request_hash, 'hex') as hash from idempotency_keys`;
  assert.doesNotMatch(row!.body, /new@example/);
  const text = `POST /api/v2/users\n${JSON.stringify(body)}`;
  const plain = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  assert.notEqual(row!.hash, plain.toHex());
});

Deno.test("stored responses expire after a day, and their keys can be used again", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  const { sql } = api.database;
  const first = await create(api, admin, "old");
  await create(api, admin, "young", { ...body, email: "new2@example.com" });
  await sql`update idempotency_keys set created_at = created_at - interval '25 hours' where key = 'old'`;
  await call(api, admin, "DELETE", `/users/${first.body.id}`);
  const again = await create(api, admin, "old");
  assert.equal(again.status, 201);
  assert.notEqual(again.body.id, first.body.id);
  await sql`update idempotency_keys set created_at = created_at - interval '25 hours' where key = 'old'`;
  await sql`
    insert into sessions (user_id, token_hash, expires_at, ended_at, end_reason)
    values
      (${admin.id}, 'a', now() + interval '1 day', now() - interval '31 days', 'signed_out'),
      (${admin.id}, 'b', now() - interval '31 days', null, null),
      (${admin.id}, 'c', now() + interval '1 day', now() - interval '29 days', 'signed_out')`;
  const cleared = await runChores(sql);
  assert.equal(cleared["answers of repeated requests"], 1);
  assert.equal(cleared["sessions that ended"], 2);
  assert.deepEqual((await sql`select key from idempotency_keys`).map(({ key }) => key), ["young"]);
});

Deno.test("the leader deletes expired responses", async () => {
  await using rig = await startRig();
  const { sql } = rig;
  await sql`
    insert into idempotency_keys (principal_id, key, request_hash, status, headers, body, created_at)
    values (gen_random_uuid(), 'old', 'x', 201, '{}', '', now() - interval '2 days')`;
  await rig.startWorker();
  await waitFor("the deletion", async () => (await sql`select 1 from idempotency_keys`).length === 0);
});
