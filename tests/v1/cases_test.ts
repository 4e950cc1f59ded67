/** The numbered list of attacks, case by case, over a real socket, each with its permitted statuses. */
import assert from "node:assert/strict";
import { print } from "../../process.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { bodyAttacks, oddities } from "./support/attack_bodies.ts";
import { callAttacks } from "./support/attack_calls.ts";
import type { Attack } from "./support/attack_requests.ts";
import { addUsers, type Kind, password, type Person } from "../support/people.ts";
import { latin1, sendBytes, sendRaw } from "../support/raw_http.ts";
import { waitFor } from "../support/wait.ts";
import { addTask } from "./support/tasks.ts";

type People = Record<Kind, Person>;

async function snapshot({ database: { sql } }: TestApi): Promise<string> {
  const [row] = await sql<{ state: string }[]>`
    select concat(
      (select md5(string_agg(u::text, ',' order by id)) from users as u),
      (select md5(string_agg(t::text, ',' order by id)) from tasks as t),
      (select count(*) from subtasks)
    ) as state`;
  return row!.state;
}

async function sendAttack(
  api: TestApi,
  people: People,
  { what, requests, statuses }: Attack,
): Promise<number> {
  for (const { caller, headers = [], ...request } of requests) {
    const token: [string, string][] = caller ? [["Authorization", `Bearer ${people[caller].token}`]] : [];
    const got = await sendRaw(api.port, { ...request, headers: [...headers, ...token] });
    const sent = `${what}: ${request.method} ${request.path.slice(0, 100)}`;
    const message = `${sent}: ${got?.status} ${got?.text.slice(0, 300)}`;
    assert.ok(got && statuses.includes(got.status), message);
    assert.doesNotMatch(got.text, /\bat .*\.ts:|node_modules|PostgresError/, message);
    assert.ok(!got.headers.has("set-cookie") && !got.headers.has("location"), message);
  }
  return requests.length;
}

Deno.test("each attack gets a permitted status, changes nothing, and no secret is logged", async (t) => {
  await using api = await startApi({ level: "debug" });
  const people = await addUsers(api);
  await addTask(api, people.user);
  let sent = 0;
  for (const [attacks, stores] of [[callAttacks, false], [bodyAttacks, false], [oddities, true]] as const) {
    for (const attack of attacks) {
      await t.step(`${attack.number}: ${attack.what}`, async () => {
        const before = await snapshot(api);
        sent += await sendAttack(api, people, attack);
        if (!stores) assert.equal(await snapshot(api), before, "data changed");
      });
    }
  }
  print(`${sent} hostile requests, none answered with 5xx`);
  assert.ok(sent >= 1000);
  const log = JSON.stringify(api.lines);
  const secrets = [...Object.values(people).map(({ token }) => token), password, api.config.SECRET_KEY];
  for (const secret of [...secrets, "$2b$", "evil.example", "forged", "drop table", "\\u001b"]) {
    assert.ok(!log.includes(secret), `the log holds '${secret.slice(0, 20)}'`);
  }
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
  const tasks = await api.database.sql`
    select from tasks where priority <> 1 or status <> 'pending' or is_deleted or username = 'admin@example.com'
      and owner_id <> ${people.admin.id}`;
  assert.equal(tasks.length, 0, "a body set a field that clients may not set");
});

const head = "HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
const broken: [number: number, what: string, bytes: string, statuses: number[]][] = [
  [
    13,
    "a token of a megabyte",
    `GET /api/v1/users/me ${head}Authorization: Bearer ${"a".repeat(1_000_000)}\r\n\r\n`,
    [400, 401, 431],
  ],
  [
    80,
    "a length and chunks",
    `POST /api/v1/tasks ${head}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    [400, 401, 422],
  ],
  [80, "two lengths", `POST /api/v1/tasks ${head}Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}`, [400]],
  [80, "a folded header", `GET /health ${head}X: a\r\n b\r\n\r\n`, [400]],
  [80, "line feeds alone", "GET /health HTTP/1.1\nHost: h\nConnection: close\n\n", [200, 400]],
  [81, "a target of a megabyte", `GET /${"x".repeat(1_000_000)} ${head}\r\n`, [400, 404, 414, 431]],
  [81, "500 headers", `GET /health ${head}${"X: y\r\n".repeat(500)}\r\n`, [200, 400, 431]],
  [84, "line ends in an origin", `GET /health ${head}Origin: https://a\rX-Injected: b\r\n\r\n`, [400]],
  [
    86,
    "an unknown expectation",
    `POST /api/v1/tasks ${head}Expect: 200-ok\r\nContent-Length: 2\r\n\r\n{}`,
    [401, 417],
  ],
];
Deno.test("malformed HTTP gets a response or a closed connection, and others are served", async (t) => {
  await using api = await startApi();
  for (const [number, what, bytes, statuses] of broken) {
    await t.step(`${number}: ${what}`, async () => {
      const got = await sendBytes(api.port, latin1(bytes));
      // A server may also close the connection.
      if (got) assert.ok(statuses.includes(got.status), `${got.status} ${got.text.slice(0, 200)}`);
      assert.equal(got?.headers.get("x-injected") ?? null, null);
      assert.equal((await sendRaw(api.port, { method: "GET", path: "/health" }))?.status, 200);
    });
  }
});

Deno.test("200 connections that send nothing, or half a header, do not block other clients", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const open = await Promise.all(Array.from({ length: 200 }, async (_, i) => {
    const connection = await Deno.connect({ hostname: "127.0.0.1", port: api.port });
    if (i % 2) await connection.write(latin1("GET /api/v1/tasks HTTP/1.1\r\nHost: h\r\nX-Half"));
    return connection;
  }));
  for (let i = 0; i < 20; i++) {
    const headers = { authorization: `Bearer ${user.token}` };
    assert.equal((await (await fetch(`${api.origin}/api/v1/users/me`, { headers })).json()).code, 200);
  }
  for (const connection of open) connection.close();
});

async function call(api: TestApi, { token }: Person, method: string, path: string, body?: string) {
  const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
  const response = await fetch(`${api.origin}/api/v1${path}`, {
    method,
    headers,
    ...(body === undefined ? {} : { body }),
  });
  return { status: response.status, body: await response.json() };
}

Deno.test("39: two concurrent cancels, and a concurrent cancel and delete, both succeed and leave one state", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  for (let round = 0; round < 10; round++) {
    const id = await addTask(api, user);
    const [method, path] = round % 2 ? ["DELETE", `/tasks/${id}`] : ["POST", `/tasks/${id}/cancel`];
    const all = await Promise.all([
      call(api, user, "POST", `/tasks/${id}/cancel`),
      call(api, user, method!, path!),
    ]);
    assert.deepEqual(all.map(({ status }) => status), [200, 200]);
    const [row] = await api.database.sql`select status, is_deleted from tasks where id = ${id}`;
    assert.deepEqual(row, { status: "cancelled", is_deleted: round % 2 === 1 });
  }
});

Deno.test("40: a cancel of an ended task gets the same response and changes nothing", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const id = await addTask(api, user);
  await api.database.sql`
    update tasks set status = 'completed', completed_at = now(), subtasks_completed = 1 where id = ${id}`;
  const before = await snapshot(api);
  assert.deepEqual(await call(api, user, "POST", `/tasks/${id}/cancel`), {
    status: 200,
    body: { code: 200, message: "任务已取消", data: null },
  });
  assert.equal(await snapshot(api), before);
});

Deno.test("90: a deadlock, a serialization failure and a full disk are 503 without PostgreSQL's message", async () => {
  await using api = await startApi();
  const { admin } = await addUsers(api);
  const { sql } = api.database;
  for (const code of ["40P01", "40001", "53100", "53200", "57P03", "55P03"]) {
    await sql.unsafe(`
      create or replace function fail() returns trigger language plpgsql as
        $$ begin raise exception 'secret words' using errcode = '${code}'; end $$;
      create or replace trigger fail before insert on users for each row execute function fail()`);
    const got = await call(api, admin, "POST", "/users/", '{"email":"x@example.com","password":"12345678"}');
    assert.deepEqual(got, { status: 503, body: { detail: "Service Unavailable" } }, code);
  }
});

Deno.test("43: an admin may drop the role, which takes effect at once, as in the old backend", async () => {
  await using api = await startApi();
  const { admin } = await addUsers(api);
  assert.equal((await call(api, admin, "PUT", `/users/${admin.legacyId}`, '{"roles":["user"]}')).status, 200);
  assert.equal(
    (await call(api, admin, "PUT", `/users/${admin.legacyId}`, '{"roles":["admin"]}')).status,
    403,
  );
});

Deno.test("93: while PostgreSQL is read-only, writes are 503 and reads are served", async () => {
  await using api = await startApi();
  const { user, admin } = await addUsers(api);
  const id = await addTask(api, user);
  const { sql } = api.database;
  const restart = () =>
    sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and pid <> pg_backend_pid()`;
  const [{ name }] = await sql<[{ name: string }]>`select current_database() as name`;
  await sql.unsafe(`alter database "${name}" set default_transaction_read_only = on`);
  await restart();
  const isServed = async () => (await call(api, user, "GET", `/tasks/${id}`)).status === 200;
  await waitFor("reads on new connections", isServed);
  const body =
    '{"task_name":"t","username":"","tags":[{"type":"prompt","value":"x"}],"variables":{},"settings":{}}';
  const userBody = '{"email":"x@example.com","password":"12345678"}';
  for (
    const got of [
      await call(api, user, "POST", "/tasks", body),
      await call(api, admin, "POST", "/users/", userBody),
      await call(api, user, "POST", `/tasks/${id}/cancel`),
      await call(api, user, "DELETE", `/tasks/${id}`),
    ]
  ) assert.deepEqual(got, { status: 503, body: { detail: "Service Unavailable" } });
  await sql.unsafe(`alter database "${name}" reset default_transaction_read_only`);
  await restart();
  const isCreated = async () => (await call(api, user, "POST", "/tasks", body)).status === 200;
  await waitFor("writes on new connections", isCreated);
});

const bodies: [what: string, body: string, adminStatus: number][] = [
  ["malformed JSON", '{"roles":', 422],
  ["a faulty field", '{"roles":"x","email":5}', 422],
  ["a list", "[1]", 422],
  ["an empty object", "{}", 422],
];
Deno.test("malformed JSON is reported before a bad token or role, a faulty field after both, as in FastAPI", async (t) => {
  await using api = await startApi();
  const people = await addUsers(api);
  const badToken: Person = { ...people.user, token: "x.y.z" };
  for (const [method, path] of [["PUT", `/users/${people.other.legacyId}`], ["POST", "/users/"]] as const) {
    for (const [what, body, adminStatus] of bodies) {
      await t.step(`${method} ${path.slice(0, 7)}: ${what}`, async () => {
        const statuses = [];
        for (const caller of [badToken, people.disabled, people.user, people.manager, people.admin]) {
          statuses.push((await call(api, caller, method, path, body)).status);
        }
        const isValid = method === "PUT" && what === "an empty object";
        const refused = what === "malformed JSON" ? [422, 422, 422, 422] : [401, 401, 403, 403];
        assert.deepEqual(statuses, [...refused, isValid ? 200 : adminStatus]);
      });
    }
  }
});
