/** What v2 says of requests that it cannot take: RFC 9457 problems, never a failure of its own. */
import assert from "node:assert/strict";
import { codes } from "../../errors.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { latin1, type RawAnswer, sendRaw } from "../support/raw_http.ts";
import { addMatrix, addPeople, call, type V2Person } from "./support/api.ts";

type Json = Record<string, unknown>;

/** What holds for every problem. @returns its body */
function checkProblem(
  { status, headers, text }: Pick<RawAnswer, "status" | "headers" | "text">,
  what: string,
) {
  assert.equal(headers.get("content-type"), "application/problem+json", `${what}: ${status} ${text}`);
  const problem = JSON.parse(text);
  const code = problem.type.replace(/^urn:contactsheet:problem:/, "");
  assert.equal(codes[code as keyof typeof codes].status, status, what);
  assert.equal(problem.status, status, what);
  assert.ok(problem.title.length > 0 && problem.detail.length > 0, what);
  assert.equal(problem.instance, headers.get("x-request-id"), what);
  assert.ok(headers.get("cache-control")?.includes("no-"), what);
  assert.equal(headers.get("x-content-type-options"), "nosniff", what);
  const known = ["type", "title", "status", "detail", "instance", "errors"];
  assert.deepEqual(Object.keys(problem).filter((key) => !known.includes(key)), [], what);
  for (const { field, wanted } of problem.errors ?? []) {
    assert.ok(field.length > 0 && wanted.length > 0, what);
  }
  assert.doesNotMatch(text, /\bat .*\.ts:|node_modules|PostgresError/, what);
  return { ...problem, code } as {
    code: string;
    detail: string;
    errors?: { field: string; value?: string }[];
  };
}

const json: [string, string] = ["Content-Type", "application/json"];

async function startWithTask() {
  const api = await startApi();
  const people = await addPeople(api);
  const task = await addMatrix(api, people.user);
  return { api, people, path: `/tasks/${task}/cells/0/rating`, bulk: `/tasks/${task}/ratings` };
}

async function put(
  api: TestApi,
  { access }: V2Person,
  path: string,
  body: string | Uint8Array,
  headers = [json],
) {
  const answer = await sendRaw(api.port, {
    method: "PUT",
    path: `/api/v2${path}`,
    headers: [["Authorization", `Bearer ${access}`], ...headers],
    body,
  });
  assert.ok(answer, "it hung up");
  return answer;
}

/** A request with the first letter of a body of `bytes`. */
const halfOf = ({ access }: V2Person, path: string, bytes: number): string =>
  `PUT /api/v2${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
  `Authorization: Bearer ${access}\r\nContent-Length: ${bytes}\r\nConnection: close\r\n\r\n{`;

/** Sends that, and reads the first piece of what comes. */
async function sendHalf(api: TestApi, who: V2Person, path: string, bytes: number): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: api.port });
  await connection.write(latin1(halfOf(who, path, bytes)));
  // The answer is one piece; the server keeps the connection for the rest of the body, which a proxy would end.
  const answer = new Uint8Array(4000);
  return new TextDecoder().decode(answer.subarray(0, await connection.read(answer) ?? 0));
}

const nest = (depth: number) => `{"stars":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
const half = "\\ud800";

/** Bodies, and what is said of them. */
const bodies: [what: string, body: string | Uint8Array, code: string, field?: string][] = [
  ["empty", "", "invalid_json"],
  ["cut", '{"stars":', "invalid_json"],
  ["a comma too many", '{"stars":5,}', "invalid_json"],
  ["two documents", '{"stars":5}{}', "invalid_json"],
  ["comments", '{"stars":5/**/}', "invalid_json"],
  ["single quotes", "{'stars':5}", "invalid_json"],
  ["NaN", '{"stars":NaN}', "invalid_json"],
  ["Infinity", '{"stars":-Infinity}', "invalid_json"],
  ["raw control characters", '{"skipped":"\u0001"}', "invalid_json"],
  ["invalid UTF-8", latin1('{"skipped":"\xff"}'), "invalid_json"],
  ["overlong UTF-8", latin1('{"skipped":"\xc0\x80"}'), "invalid_json"],
  ["half characters as UTF-8", latin1('{"skipped":"\xed\xa0\x80"}'), "invalid_json"],
  ["UTF-16", latin1("\xff\xfe{\x00}\x00"), "invalid_json"],
  ["65 levels", nest(65), "invalid_json"],
  ["1,000 levels", nest(1000), "invalid_json"],
  ["100,000 levels", nest(100_000), "invalid_json"],
  ["100,000 levels that do not end", "[".repeat(100_000), "invalid_json"],
  ["64 levels", nest(64), "invalid_request", "body.stars"],
  ["null", "null", "invalid_request", "body"],
  ["a list", "[]", "invalid_request", "body"],
  ["a text", '"x"', "invalid_request", "body"],
  ["a number", "0", "invalid_request", "body"],
  ["nothing in it", "{}", "invalid_request", "body.stars"],
  ["a field that is none", '{"stars":5,"bogus":1}', "invalid_request", "body.bogus"],
  ["__proto__", '{"stars":5,"__proto__":{"admin":true}}', "invalid_request", "body.__proto__"],
  ["constructor", '{"stars":5,"constructor":{"prototype":{"x":1}}}', "invalid_request", "body.constructor"],
  ["toString", '{"stars":5,"toString":1}', "invalid_request", "body.toString"],
  ["out of range", '{"stars":6}', "invalid_request", "body.stars"],
  ["below", '{"stars":-1}', "invalid_request", "body.stars"],
  ["a fraction", '{"stars":1.5}', "invalid_request", "body.stars"],
  ["a number as text", '{"stars":"5"}', "invalid_request", "body.stars"],
  ["a number beyond any", '{"stars":1e400}', "invalid_request", "body.stars"],
  ["digits without end", `{"stars":${"9".repeat(400)}}`, "invalid_request", "body.stars"],
  ["NUL", '{"skipped":"a\\u0000b"}', "invalid_request", "body.skipped"],
  ["half a character", `{"skipped":"a${half}b"}`, "invalid_request", "body.skipped"],
  ["half a character turned round", '{"skipped":"\\udc00\\ud800"}', "invalid_request", "body.skipped"],
  ["NUL in a name", '{"a\\u0000b":1}', "invalid_request", "body.a\0b"],
  ["NUL deep inside", '{"stars":[{"x":"\\u0000"}]}', "invalid_request", "body.stars.0.x"],
  ["200,000 values", `{"stars":[${"0,".repeat(200_000)}0]}`, "too_large"],
  ["5 MB", `{"skipped":"${"x".repeat(5_000_000)}"}`, "too_large"],
];

Deno.test("a faulty body is a problem that names what is wrong, and changes nothing", async (t) => {
  const { api, people: { user }, path } = await startWithTask();
  await using _ = api;
  for (const [what, body, code, field] of bodies) {
    await t.step(what, async () => {
      const answer = await put(api, user, path, body);
      const problem = checkProblem(answer, what);
      assert.equal(problem.code, code, answer.text);
      if (field) assert.ok(problem.errors?.some((fault) => fault.field === field), answer.text);
    });
  }
  const [row] = await api.database.sql`select count(*)::int as n from ratings`;
  assert.equal(row!.n, 0);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
  assert.equal(({} as Json).admin, undefined);
});

Deno.test("of two equal keys the last counts; a byte order mark, spaces and any text pass", async (t) => {
  const { api, people: { user }, path } = await startWithTask();
  await using _ = api;
  const texts = [
    "שלום",
    "👩‍👩‍👧",
    "a\u2028b\u2029c",
    "e\u0301 is not é",
    "\\ \" ' %s ${x} <b>",
    "=cmd()",
    "' or 1=1--",
  ];
  const taken: [string, string, Json][] = [
    ["two keys", '{"stars":1,"stars":4}', { stars: 4 }],
    ["a byte order mark", '\ufeff{"stars":4}', { stars: 4 }],
    ["spaces", '\r\n\t {"stars" : 4} \n', { stars: 4 }],
    ["4.0", '{"stars":4.0}', { stars: 4 }],
    ["4e0", '{"stars":4e0}', { stars: 4 }],
    ...texts.map((text): [string, string, Json] => [
      JSON.stringify(text),
      JSON.stringify({ skipped: text }),
      { skipped: text },
    ]),
  ];
  for (const [what, body, wanted] of taken) {
    await t.step(what, async () => {
      const answer = await put(api, user, path, body);
      assert.equal(answer.status, 200, answer.text);
      const found = JSON.parse(answer.text) as Json;
      for (const [key, value] of Object.entries(wanted)) assert.equal(found[key], value);
    });
  }
});

const types: [string, [string, string][], number][] = [
  ["none", [], 415],
  ["text/plain, as another origin's form may send it", [["Content-Type", "text/plain"]], 415],
  ["a form", [["Content-Type", "application/x-www-form-urlencoded"]], 415],
  ["multipart", [["Content-Type", "multipart/form-data; boundary=x"]], 415],
  ["JSON lines", [["Content-Type", "application/jsonl"]], 415],
  ["nonsense", [["Content-Type", "application/json; ;;"]], 415],
  ["gzip", [["Content-Type", "application/json"], ["Content-Encoding", "gzip"]], 415],
  ["in capitals", [["Content-Type", "APPLICATION/JSON"]], 200],
  ["with a charset", [["Content-Type", "application/json; charset=utf-8"]], 200],
  ["a kind of JSON", [["Content-Type", "application/merge-patch+json"]], 200],
];

Deno.test("a body that is not said to be JSON is not read as such", async (t) => {
  const { api, people: { user }, path } = await startWithTask();
  await using _ = api;
  for (const [what, headers, status] of types) {
    await t.step(what, async () => {
      const answer = await put(api, user, path, '{"stars":3}', headers);
      assert.equal(answer.status, status, answer.text);
      if (status === 415) assert.equal(checkProblem(answer, what).code, "unsupported_media");
    });
  }
});

Deno.test("20 MB are refused at once, whoever sends them, and hold nobody up", async () => {
  const { api, people: { user }, path } = await startWithTask();
  await using _ = api;
  const huge = new Uint8Array(20 * 1024 * 1024).fill(0x20);
  let most = 0;
  let last = performance.now();
  const timer = setInterval(() => {
    most = Math.max(most, performance.now() - last);
    last = performance.now();
  }, 5);
  const send = (headers: Record<string, string>, body: BodyInit) =>
    fetch(`${api.origin}/api/v2${path}`, { method: "PUT", headers, body }).then(
      async (response) => ({
        status: response.status,
        headers: response.headers,
        text: await response.text(),
      }),
      // The server need not read on to refuse: what the client sees then is a connection that closes.
      () => undefined,
    );
  const signed = { authorization: `Bearer ${user.access}`, "content-type": "application/json" };
  const answers = [
    await send(signed, huge),
    await send(signed, new Blob([huge]).stream()),
    await send({ "content-type": "application/json" }, huge),
  ];
  clearInterval(timer);
  assert.deepEqual(
    answers.map((answer) => answer?.status ?? 0).filter((status) => ![0, 401, 413].includes(status)),
    [],
  );
  const named = await sendHalf(api, user, path, 20_000_000);
  assert.match(named, /^HTTP\/1.1 413 [^]*problem:too_large/);
  assert.equal((await call(api, user, "PUT", path, { stars: 5 })).status, 200);
  assert.ok(most < 5000, `the loop stood still for ${most} ms`);
});

Deno.test("who has not signed in sends 64 kB at most, and learns nothing of schemas", async () => {
  const { api, path } = await startWithTask();
  await using _ = api;
  const long = await call(api, undefined, "POST", "/auth/login", {
    email: "x".repeat(70_000),
    password: "x",
  });
  assert.equal(checkProblem(long, "login").code, "too_large");
  for (const body of ["", "{", '{"bogus":1}', nest(1000)]) {
    const answer = await call(api, undefined, "PUT", path, body);
    assert.equal(checkProblem(answer, body.slice(0, 20)).code, "unauthenticated");
  }
});

Deno.test("a body that comes too slowly is given up", async () => {
  await using api = await startApi({ bodyMsMax: 300 });
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const answer = await sendHalf(api, user, `/tasks/${task}/cells/0/rating`, 100);
  assert.match(answer, /^HTTP\/1.1 408 [^]*problem:too_slow/);
});

Deno.test("bodies that are waited for take no room at the database", async () => {
  await using api = await startApi({ bodyMsMax: 3_600_000 });
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  await using open = new AsyncDisposableStack();
  // More than are ever let to the database at once.
  for (let i = 0; i < 100; i++) {
    const connection = open.use(await Deno.connect({ hostname: "127.0.0.1", port: api.port }));
    await connection.write(latin1(halfOf(user, `/tasks/${task}/cells/0/rating`, 100)));
  }
  for (let served = 0; served < 20;) {
    if ((await call(api, user, "GET", "/users/me")).status === 200) served++;
  }
});

const allowOfRating = "GET, HEAD, PUT, DELETE, OPTIONS";
const someId = "00000000-0000-4000-8000-000000000000";
const odd = [
  "'%20OR%201=1--",
  "%00",
  "a%00b",
  "%zz",
  "%",
  "..%2f..%2fetc%2fpasswd",
  "me%20",
  "NaN",
  "x".repeat(10_000),
  "%F0%9F%98%BA",
  "😺",
  "%ED%A0%80",
  "%c0%80",
  someId.toUpperCase().replaceAll("0", "A"),
  `{${someId}}`,
  someId.replaceAll("-", ""),
  "f".repeat(24),
  "-1",
  "1e9",
  "$ne",
  "__proto__",
  "constructor",
  "null",
  "%0d%0aSet-Cookie:%20a=b",
];

Deno.test("odd paths are not found", async (t) => {
  const { api, people: { admin, user }, path } = await startWithTask();
  await using _ = api;
  const task = path.split("/")[2];
  const targets = odd.flatMap((id) => [
    `/api/v2/${id}`,
    `/api/v2/tasks/${id}/cells/0/ratings`,
    `/api/v2/tasks/${task}/cells/${id}/ratings`,
  ]);
  for (
    const target of [
      ...targets,
      "/api/v2",
      "/api/v2/",
      "/api/v2//users/me",
      "/api/v2/users/me/",
      "/api/v2/../v1/x",
    ]
  ) {
    await t.step(target.slice(0, 80), async () => {
      for (const { access } of [admin, user]) {
        const headers: [string, string][] = [["Authorization", `Bearer ${access}`]];
        const answer = await sendRaw(api.port, { method: "GET", path: target, headers });
        assert.equal(answer?.status, 404, answer?.text.slice(0, 500));
        assert.equal(checkProblem(answer, target).code, "not_found");
        assert.equal(answer.headers.get("set-cookie"), null);
      }
    });
  }
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
});

Deno.test("a page's limit and cursor are as they should be, or named", async (t) => {
  const { api, people: { user }, path } = await startWithTask();
  await using _ = api;
  const encode = (text: string) => btoa(text).replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_");
  const faulty: [string, string][] = [
    ...[
      "0",
      "-1",
      "201",
      "1.5",
      "abc",
      "",
      "%201",
      "0x10",
      "1e1",
      "9223372036854775808",
      "NaN",
      "5&limit=6",
      "%00",
    ]
      .map((limit): [string, string] => [`limit=${limit}`, "query.limit"]),
    ...[
      "",
      "x",
      "%00",
      "😺",
      encode("[]"),
      encode("null"),
      encode('["\\u0000"]'),
      encode('["x"]'),
      encode("[1e999]"),
      "A".repeat(600),
    ]
      .map((
        cursor,
      ): [string, string] => [`cursor=${encodeURI(cursor).replace("%2500", "%00")}`, "query.cursor"]),
    ["a%00b=1", "query.a\0b"],
  ];
  for (const [query, field] of faulty) {
    await t.step(query.slice(0, 60), async () => {
      const answer = await call(api, user, "GET", `${path}s?${query}`);
      const { code, errors } = checkProblem(answer, query);
      assert.deepEqual([code, errors?.[0]?.field], ["invalid_request", field], answer.text);
    });
  }
  for (const query of ["limit=1", "limit=200", "unknown=1", "unknown=%zz", ""]) {
    assert.equal((await call(api, user, "GET", `${path}s?${query}`)).status, 200, query);
  }
});

Deno.test("an unknown path is not found, a method that is not for it is told which are", async () => {
  const { api, people: { user }, path } = await startWithTask();
  await using _ = api;
  for (const method of ["GET", "POST", "DELETE", "PATCH"]) {
    const unknown = await call(api, user, method, "/nothing/here");
    assert.equal(checkProblem(unknown, method).code, "not_found");
  }
  const cases: [string, string, string][] = [
    ["POST", "/system/status", "GET, HEAD, OPTIONS"],
    ["POST", path, allowOfRating],
    ["PATCH", path, allowOfRating],
    ["GET", "/auth/login", "POST, OPTIONS"],
    ["DELETE", "/openapi.json", "GET, HEAD, OPTIONS"],
    ["PROPFIND", "/system/status", "GET, HEAD, OPTIONS"],
  ];
  for (const [method, at, allow] of cases) {
    for (const who of [user, undefined]) {
      const answer = await call(api, who, method, at, undefined, { "x-http-method-override": "DELETE" });
      assert.equal(checkProblem(answer, `${method} ${at}`).code, "method_not_allowed");
      assert.equal(answer.headers.get("allow"), allow);
    }
  }
  for (const method of ["TRACE", "CONNECT"]) {
    const answer = await sendRaw(api.port, { method, path: "/api/v2/users/me" });
    assert.ok(!answer || answer.status >= 400 && answer.status < 500, `${method} ${answer?.status}`);
  }
});

Deno.test("HEAD answers as GET without the body; OPTIONS tells what may be done", async () => {
  const { api, people: { user }, path } = await startWithTask();
  await using _ = api;
  const got = await call(api, user, "GET", "/users/me");
  const askHead = async (who: V2Person | undefined, at: string) => {
    const headers: Record<string, string> = who ? { authorization: `Bearer ${who.access}` } : {};
    const response = await fetch(`${api.origin}/api/v2${at}`, { method: "HEAD", headers });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const head = await askHead(user, "/users/me");
  assert.deepEqual([head.status, head.text, head.headers.get("content-type")], [
    200,
    "",
    got.headers.get("content-type"),
  ]);
  const refused = await askHead(undefined, "/users/me");
  assert.deepEqual([refused.status, refused.text], [401, ""]);
  assert.equal((await askHead(user, "/auth/login")).status, 405);
  const options = await call(api, undefined, "OPTIONS", path);
  assert.deepEqual([options.status, options.headers.get("allow")], [204, allowOfRating]);
  assert.equal(checkProblem(await call(api, undefined, "OPTIONS", "/nothing"), "OPTIONS").code, "not_found");
});

Deno.test("another origin is let in as CORS_ORIGINS says, and never with credentials", async (t) => {
  const home = "https://console.example";
  for (
    const [setting, origin, allowed] of [
      ["*", home, "*"],
      ["*", "null", "*"],
      [home, home, home],
      [`https://a.example,${home}`, home, home],
      [home, "https://evil.example", null],
      [home, "https://console.example.evil.example", null],
      [home, "null", null],
      [home, undefined, null],
    ] as const
  ) {
    await t.step(`${origin} where ${setting}`, async () => {
      await using api = await startApi({ env: { CORS_ORIGINS: setting } });
      const from: Record<string, string> = origin ? { origin } : {};
      for (const path of ["/openapi.json", "/users/me", "/nothing"]) {
        const { headers } = await call(api, undefined, "GET", path, undefined, from);
        assert.equal(headers.get("access-control-allow-origin"), allowed, path);
        assert.equal(headers.get("access-control-allow-credentials"), null);
      }
      const preflight = await call(api, undefined, "OPTIONS", "/users/me", undefined, {
        ...from,
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization,content-type,if-match,idempotency-key",
      });
      assert.equal(preflight.status, 204);
      assert.equal(preflight.headers.get("access-control-allow-origin"), allowed);
      assert.match(preflight.headers.get("access-control-allow-methods") ?? "", /PUT/);
      assert.match(preflight.headers.get("access-control-allow-headers") ?? "", /if-match/);
      assert.equal(preflight.headers.get("access-control-max-age"), "600");
    });
  }
});

Deno.test("a request has one id: in its answer, in its problem, in its one log line", async (t) => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const ids: [given: string, kept: boolean][] = [
    ["abc-123_x=", true],
    ["x".repeat(255), true],
    ["x".repeat(256), false],
    ["a b", false],
    ["a%0d%0aSet-Cookie: x=y", false],
    ['"}\\', false],
    ['{"level":"error"}', false],
  ];
  for (const [given, kept] of ids) {
    await t.step(given.slice(0, 40), async () => {
      api.lines.length = 0;
      const headers: [string, string][] = [["X-Request-Id", given], [
        "Authorization",
        `Bearer ${user.access}`,
      ]];
      const answer = await sendRaw(api.port, { method: "GET", path: "/api/v2/users/me", headers });
      const id = answer?.headers.get("x-request-id");
      assert.equal(answer?.status, 200);
      assert.equal(id === given, kept, `${id}`);
      if (!kept) assert.match(id!, /^[0-9a-f-]{36}$/);
      assert.equal(answer.headers.get("set-cookie"), null);
      assert.deepEqual(api.lines.map(({ msg, request_id: logged, route }) => [msg, logged, route]), [
        ["request", id, "/api/v2/users/me"],
      ]);
    });
  }
  const problem = await call(api, undefined, "GET", "/users/me", undefined, { "x-request-id": "mine" });
  assert.equal(problem.body.instance, "mine");
});

Deno.test("a failure that nobody foresaw is logged under the id and answered without its text", async () => {
  const { api, people: { user }, path } = await startWithTask();
  await using _ = api;
  await api.database.sql`alter table rating_history rename column action to act`;
  const answer = await call(api, user, "PUT", path, { stars: 5 });
  const problem = checkProblem(answer, "internal");
  assert.deepEqual([answer.status, problem.code], [500, "internal"]);
  assert.doesNotMatch(answer.text, /column|rating_history/);
  const [line] = api.lines.filter(({ level }) => level === "error");
  assert.equal(line?.request_id, answer.headers.get("x-request-id"));
  assert.match(String(line?.cause), /rating_history/);
});

Deno.test("a database that is away is 503 with Retry-After", async () => {
  const { api, people: { user } } = await startWithTask();
  await using _ = api;
  await api.sql.end({ timeout: 1 });
  const answer = await call(api, user, "GET", "/users/me");
  assert.equal(checkProblem(answer, "away").code, "busy");
  assert.deepEqual([answer.status, answer.headers.get("retry-after")], [503, "1"]);
});

Deno.test("a secret is not said back where its field is wrong", async () => {
  await using api = await startApi();
  const secret = "hunter2-hunter2";
  for (
    const body of [
      { email: 5, password: secret },
      { email: "a@b.example", password: [secret] },
      { email: "a@b.example", password: { secret } },
      { email: "a@b.example", password: secret, [`x${"y".repeat(200)}`]: secret },
      [secret],
      `{"email":"a@b.example","password":"${secret}`,
      `{"password":"${secret}" "email"}`,
      `${secret}`,
    ]
  ) {
    const answer = await call(api, undefined, "POST", "/auth/login", body);
    assert.ok(answer.status === 422 || answer.status === 400, answer.text);
    assert.doesNotMatch(answer.text, new RegExp(secret), JSON.stringify(body));
  }
  assert.doesNotMatch(JSON.stringify(api.lines), new RegExp(secret));
});
