/**
 * Hostile requests over a real socket: no 5xx, no change of data, and no secret in a response or in the log.
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { print } from "../../process.ts";
import { docsFileRoutes } from "../../routes/v1/docs.ts";
import { table } from "../../routes/v1/table.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { addUsers, password, type Person } from "../support/people.ts";
import { latin1, type RawAnswer, type RawRequest, sendBytes, sendRaw } from "../support/raw_http.ts";
import { addTask } from "./support/tasks.ts";

const ids = [
  "'%20OR%201=1--",
  "%00",
  "%zz",
  "..%2f..%2fetc%2fpasswd",
  "me%20",
  "NaN",
  "x".repeat(10_000),
  "%F0%9F%98%BA",
  "😺",
  "00000000000040008000000000000000",
  "{00000000-0000-4000-8000-000000000000}",
  "00000000-0000-4000-8000-00000000000",
  "f".repeat(23),
  "f".repeat(25),
  "g".repeat(24),
  "-1",
  "1e9",
  "$ne",
  "[object%20Object]",
  "__proto__",
  "constructor",
  "null",
  "%0d%0aSet-Cookie:%20a=b",
];

async function snapshot({ database: { sql } }: TestApi): Promise<string> {
  const [row] = await sql<{ state: string }[]>`
    select concat(
      (select md5(string_agg(u::text, ',' order by id)) from users as u),
      (select md5(string_agg(t::text, ',' order by id)) from tasks as t),
      (select count(*) from subtasks)
    ) as state`;
  return row!.state;
}

/** Checks what holds for every response to a hostile request. */
function checkAnswer(answer: RawAnswer | undefined, request: unknown): void {
  const what = JSON.stringify(request).slice(0, 500);
  assert.ok(answer, `no response to ${what}`);
  assert.ok(answer.status >= 200 && answer.status < 500, `${answer.status} ${answer.text} for ${what}`);
  assert.doesNotMatch(answer.text, /\bat .*\.ts:|node_modules|PostgresError|select .* from /i, what);
  assert.equal(answer.headers.get("set-cookie"), null, what);
}

Deno.test("malformed ids are not found on any route with an id", async (t) => {
  await using api = await startApi();
  const { admin, user } = await addUsers(api);
  await addTask(api, user);
  for (const route of table.filter(({ path }) => path.includes("{id}"))) {
    await t.step(`${route.methods[0]} ${route.path}`, async () => {
      const before = await snapshot(api);
      for (const id of ids) {
        const got = await sendRaw(api.port, {
          method: route.methods[0]!,
          path: route.path.replace("{id}", id),
          headers: [["Authorization", `Bearer ${admin.token}`], ["Content-Type", "application/json"]],
          body: route.reads ? '{"fullname":"hacked"}' : null,
        });
        assert.ok(got?.status === 404 || got?.status === 405, `${id}: ${got?.status} ${got?.text}`);
      }
      assert.equal(await snapshot(api), before);
    });
  }
});

const words = fc.constantFrom(
  ...[
    "",
    "0",
    "-1",
    "1",
    "99999999999999999999",
    "NaN",
    "null",
    "true",
    "[]",
    "{}",
    "'",
    '"',
    "\\",
    "%",
    "%00",
    "%ff",
  ],
  ...[
    "\u0000",
    "😀",
    "\ud800",
    "__proto__",
    "constructor",
    "$where",
    "' or 1=1 --",
    "(a+)+$",
    "../..",
    "a,b,,c",
    "\r\n",
  ],
  ...[
    "pending",
    "admin@example.com",
    "x".repeat(3000),
    "<script>",
    "${7*7}",
    "{{7*7}}",
    "%s%n",
    "file:///etc/passwd",
  ],
);
// The static files of Swagger UI are left out: their text contains words that look like leaked SQL.
const staticPaths = docsFileRoutes.map(({ path }) => path);
const dynamicPaths = table.map(({ path }) => path).filter((path) => !staticPaths.includes(path));
const paths = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(...dynamicPaths) },
  fc.constantFrom(
    "/",
    "/api/v2/x",
    "/api/v1/../health",
    "//",
    "/api/v1/tasks//",
    "/.env",
    "/metrics",
    "/api/v1/auth/token",
  ),
);
const json = fc.oneof(
  fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.stringify(value)),
  fc.dictionary(
    fc.constantFrom(
      ...[
        "task_name",
        "username",
        "tags",
        "variables",
        "settings",
        "email",
        "password",
        "roles",
        "is_active",
      ],
      ...["fullname", "__proto__", "id", "status", "is_deleted", "hashed_password", "priority"],
    ),
    fc.oneof(words, fc.jsonValue({ maxDepth: 2 })),
    // Never a valid body, because other tests cover bodies that are stored.
    { maxKeys: 4 },
  ).map((value) => JSON.stringify({ ...value, task_name: 0, email: 0 })),
  fc.string({ unit: "binary" }),
  fc.constantFrom(
    "{",
    "[1,",
    '{"a":NaN}',
    "\ufeff{}",
    "1 2",
    "'a'",
    "[".repeat(5000),
    "9".repeat(5000),
    "\0",
  ),
);
const headers = fc.array(
  fc.constantFrom<[string, string]>(
    ["Content-Type", "application/json"],
    ["Content-Type", "text/plain"],
    ["Content-Type", "multipart/form-data; boundary=x"],
    ["Content-Type", "application/x-www-form-urlencoded"],
    ["Content-Type", "application/json; charset=utf-7"],
    ["Content-Encoding", "gzip"],
    ["X-HTTP-Method-Override", "DELETE"],
    ["X-Forwarded-For", "127.0.0.1"],
    ["X-Forwarded-Host", "evil.example"],
    ["X-Original-URL", "/api/v1/users/"],
    ["Origin", "https://evil.example"],
    ["Origin", "null"],
    ["Access-Control-Request-Method", "DELETE"],
    ["Cookie", "session=1; __proto__=2"],
    ["Range", "bytes=0-1"],
    ["Accept-Encoding", "br;q=0, gzip"],
    ["If-None-Match", "*"],
    ["Expect", "nothing"],
    ["Accept", "text/html"],
    ["X-Long", "x".repeat(4000)],
  ),
  { maxLength: 4 },
);
const targets = fc.tuple(paths, words, fc.array(fc.tuple(words, words), { maxLength: 3 }), fc.boolean())
  .map(([path, id, query, escaped]) => {
    const write = (text: string) =>
      escaped ? encodeURIComponent(text.toWellFormed()) : text.replace(/[^!-~]/g, "%20");
    const names = ["page", "page_size", "status", "username", "task_name", "skip", "limit"];
    const parts = query.map(([name, value], i) =>
      `${i % 2 ? write(name) : names[name.length % 7]}=${write(value)}`
    );
    return path.replace("{id}", write(id) || "x") + (parts.length > 0 ? `?${parts.join("&")}` : "");
  });

Deno.test("1,500 random requests cause no 5xx, change no row and log no secret", async () => {
  await using api = await startApi({ level: "debug" });
  const { user, admin, disabled } = await addUsers(api);
  await addTask(api, user);
  const before = await snapshot(api);
  const callers = fc.constantFrom<Person | undefined>(user, user, admin, disabled, undefined);
  const methods = fc.constantFrom(
    "GET",
    "GET",
    "POST",
    "POST",
    "PUT",
    "DELETE",
    "PATCH",
    "HEAD",
    "OPTIONS",
    "TRACE",
    "PROPFIND",
  );
  let sent = 0;
  await fc.assert(
    fc.asyncProperty(
      methods,
      targets,
      headers,
      fc.option(json),
      callers,
      async (method, path, extra, body, person) => {
        const request: RawRequest = {
          method,
          path,
          body,
          headers: [
            ...extra,
            ...person ? [["Authorization", `Bearer ${person.token}`] as [string, string]] : [],
          ],
        };
        checkAnswer(await sendRaw(api.port, request), request);
        sent++;
      },
    ),
    { numRuns: 1500, seed: 11, endOnFailure: true },
  );
  print(`${sent} random requests, none answered with 5xx`);
  assert.ok(sent >= 1500);
  assert.equal(await snapshot(api), before);
  const log = JSON.stringify(api.lines);
  for (
    const secret of [
      user.token,
      admin.token,
      password,
      api.config.SECRET_KEY,
      "hashed_password",
      "evil.example",
    ]
  ) {
    assert.ok(!log.includes(secret), `the log holds '${secret.slice(0, 20)}'`);
  }
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
  assert.equal(({} as Record<string, unknown>)["x"], undefined);
});

const raw: [what: string, text: string, status: number[]][] = [
  [
    "two lengths",
    "POST /api/v1/tasks HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    [400],
  ],
  ["a negative length", "POST /api/v1/tasks HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n", [400]],
  ["a space before the colon", "GET /health HTTP/1.1\r\nHost : h\r\n\r\n", [400]],
  ["a NUL in a header", "GET /health HTTP/1.1\r\nHost: h\r\nX: \0\r\n\r\n", [400]],
  ["an unknown HTTP version", "GET /health HTTP/9.9\r\n\r\n", [400, 505]],
  ["CONNECT", "CONNECT h:1 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", [400, 404, 405]],
  ["another host's URL", "GET http://evil.example/health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", [
    200,
  ]],
  [
    "a host that contains a path",
    "GET /api/v1/users/me HTTP/1.1\r\nHost: h/health?\r\nConnection: close\r\n\r\n",
    [400, 401],
  ],
  ["no host", "GET /api/v1/users/me HTTP/1.1\r\nConnection: close\r\n\r\n", [400, 401]],
  ["a chunked body over the limit", "", [413]],
];
Deno.test("malformed HTTP is rejected", async (t) => {
  await using api = await startApi();
  for (const [what, text, wanted] of raw) {
    await t.step(what, async () => {
      const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`;
      const chunked =
        "POST /api/v1/tasks HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
        chunk.repeat(150) + "0\r\n\r\n";
      const got = await sendBytes(api.port, latin1(text || chunked));
      assert.ok(got && wanted.includes(got.status), `${got?.status} ${got?.text}`);
    });
  }
  const response = await fetch(`${api.origin}/health`);
  assert.equal(response.status, 200);
  await response.body?.cancel();
});

Deno.test("a forged host, prefix or scheme does not change a response", async () => {
  await using api = await startApi();
  const { user } = await addUsers(api);
  const forged: [string, string][] = [
    ...[
      "X-Forwarded-Host",
      "X-Forwarded-Proto",
      "X-Forwarded-Prefix",
      "X-Original-URL",
      "X-Rewrite-URL",
      "Forwarded",
    ]
      .map((name): [string, string] => [name, "//evil.example/"]),
    ["Authorization", `Bearer ${user.token}`],
  ];
  for (const path of ["/api/v1/tasks/", "/api/v1/users/me/", "/docs", "/openapi.json", "/health/"]) {
    const got = await sendRaw(api.port, { method: "GET", path, headers: forged });
    assert.equal(got?.status, 200);
    assert.ok(!got.text.includes("evil") && got.headers.get("location") === null);
  }
});
