/** Idempotency-Key: work is done once, whoever repeats it, at once or after a loss. */
import assert from "node:assert/strict";
import { runChores } from "../../jobs/lead/chores.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { startRig } from "../support/queue_rig.ts";
import { addMatrix, addPeople, call, type V2Person } from "./support/api.ts";

const body = { email: "new@example.com", password: "battery staple" };
const create = (api: TestApi, who: V2Person, key: string, given: unknown = body) =>
  call(api, who, "POST", "/users", given, { "idempotency-key": key });

const countNew = async ({ database: { sql } }: TestApi) =>
  (await sql`select count(*)::int as n from users where email like 'new%'`)[0]!.n;

Deno.test("a request under its key again gets the same answer byte for byte, and does nothing", async () => {
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

Deno.test("another request under a key is refused; the same key of another person is another key", async () => {
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
  const says = (who: V2Person) =>
    call(api, who, "POST", `/tasks/${task}/cells/0/evaluations`, { text: "good" }, {
      "idempotency-key": "e",
    });
  const mine = await says(user);
  const theirs = await says(other);
  assert.deepEqual([mine.status, theirs.status], [201, 201]);
  assert.notEqual(mine.body.id, theirs.body.id);
});

Deno.test("of many at once under one key one does the work, and all get its answer", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  const answers = await Promise.all(Array.from({ length: 12 }, () => create(api, admin, "same")));
  assert.deepEqual(new Set(answers.map(({ status, text }) => `${status} ${text}`)).size, 1);
  assert.equal(answers[0]!.status, 201, answers[0]!.text);
  assert.equal(answers.filter(({ headers }) => headers.has("idempotent-replay")).length, 11);
  assert.equal(await countNew(api), 1);
});

/** Runs `during` while nobody can be added, and whoever tries waits within its transaction. */
async function whileUsersAreLocked(
  { database: { sql } }: TestApi,
  during: () => Promise<void>,
): Promise<void> {
  await sql.begin(async (held) => {
    await held`lock table users in share mode`;
    await during();
  });
}

async function killWaiting({ database: { sql } }: TestApi): Promise<void> {
  for (;;) {
    const killed = await sql`
      select pg_terminate_backend(pid)
      from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock' and query like '%insert into users%'
        and pid <> pg_backend_pid()`;
    if (killed.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

Deno.test("where the first died in the middle, nothing of it is there, and the repetition does the work", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  let first: ReturnType<typeof create> | undefined;
  await whileUsersAreLocked(api, async () => {
    first = create(api, admin, "died");
    await killWaiting(api);
  });
  const died = await first!;
  assert.deepEqual([died.status, died.body.type], [503, "urn:contactsheet:problem:busy"], died.text);
  assert.equal(await countNew(api), 0);
  const again = await create(api, admin, "died");
  assert.deepEqual([again.status, again.headers.get("idempotent-replay")], [201, null], again.text);
  assert.equal((await create(api, admin, "died")).text, again.text);
  assert.equal(await countNew(api), 1);
});

Deno.test("who waits for a first that dies does the work itself", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  let both: ReturnType<typeof create>[] = [];
  await whileUsersAreLocked(api, async () => {
    both = [create(api, admin, "two")];
    // The second waits for the first one's key.
    const { sql } = api.database;
    const waits = (query: string) =>
      sql`select 1 from pg_stat_activity where wait_event_type = 'Lock' and query like ${query}`;
    while ((await waits("%insert into users%")).length === 0) {
      await new Promise((done) => setTimeout(done, 10));
    }
    both.push(create(api, admin, "two"));
    while ((await waits("%insert into idempotency_keys%")).length === 0) {
      await new Promise((done) => setTimeout(done, 10));
    }
    await killWaiting(api);
  });
  const [first, second] = await Promise.all(both);
  assert.deepEqual([first!.status, second!.status], [503, 201], second!.text);
  assert.equal(await countNew(api), 1);
});

Deno.test("what failed is not kept: the same key may be tried again", async () => {
  await using api = await startApi();
  const { admin, user } = await addPeople(api);
  const taken = { ...body, email: user.email };
  assert.equal((await create(api, admin, "k", taken)).status, 409);
  await call(api, admin, "DELETE", `/users/${user.id}`);
  assert.equal((await create(api, admin, "k", taken)).status, 201);
});

Deno.test("a key is 1 to 255 visible characters", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  for (const key of ["", "a b", "x".repeat(256), "é"]) {
    const answer = await create(api, admin, key, { ...body, email: `new${key.length}@example.com` });
    assert.deepEqual([answer.status, answer.body.errors?.[0].field], [422, "idempotency-key"], key);
  }
  assert.equal(await countNew(api), 0);
  assert.equal((await create(api, admin, "!".repeat(255))).status, 201);
});

Deno.test("what is stored of an answer, and of a request, can be read by nobody without the key", async () => {
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

Deno.test("answers are forgotten after a day, and their keys are free again", async () => {
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

Deno.test("whoever leads the workers clears them away", async () => {
  await using rig = await startRig();
  const { sql } = rig;
  await sql`
    insert into idempotency_keys (principal_id, key, request_hash, status, headers, body, created_at)
    values (gen_random_uuid(), 'old', 'x', 201, '{}', '', now() - interval '2 days')`;
  await rig.startWorker();
  while ((await sql`select 1 from idempotency_keys`).length > 0) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});
