/** Request bodies: invalid JSON, invalid values, media types, size and time. */
import assert from "node:assert/strict";
import { startApi, type TestApi } from "../support/api.ts";
import { latin1, sendRaw } from "../support/raw_http.ts";
import { waitFor } from "../support/wait.ts";
import { addMatrix, addPeople, call, type V2Person } from "./support/api.ts";
import { checkProblem, startWithTask } from "./support/problems.ts";

type Json = Record<string, unknown>;

const json: [string, string] = ["Content-Type", "application/json"];

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
  assert.ok(answer, "the server closed the connection");
  return answer;
}

/** Returns a request that announces a body of `bytes` and contains only its first byte. */
const partialRequest = ({ access }: V2Person, path: string, bytes: number): string =>
  `PUT /api/v2${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n` +
  `Authorization: Bearer ${access}\r\nContent-Length: ${bytes}\r\nConnection: close\r\n\r\n{`;

/** Sends a partial request and returns the response. */
async function sendPartial(api: TestApi, user: V2Person, path: string, bytes: number): Promise<string> {
  using connection = await Deno.connect({ hostname: "127.0.0.1", port: api.port });
  await connection.write(latin1(partialRequest(user, path, bytes)));
  // The response arrives in one read. The server then keeps the connection open for the rest of the body.
  const answer = new Uint8Array(4000);
  return new TextDecoder().decode(answer.subarray(0, await connection.read(answer) ?? 0));
}

const nest = (depth: number) => `{"stars":${"[".repeat(depth - 1)}${"]".repeat(depth - 1)}}`;
const surrogate = "\\ud800";

/** Invalid bodies with the problem and the invalid field that they result in. */
const invalidBodies: [name: string, body: string | Uint8Array, code: string, field?: string][] = [
  ["empty", "", "invalid_json"],
  ["truncated", '{"stars":', "invalid_json"],
  ["trailing comma", '{"stars":5,}', "invalid_json"],
  ["two documents", '{"stars":5}{}', "invalid_json"],
  ["comments", '{"stars":5/**/}', "invalid_json"],
  ["single quotes", "{'stars':5}", "invalid_json"],
  ["NaN", '{"stars":NaN}', "invalid_json"],
  ["Infinity", '{"stars":-Infinity}', "invalid_json"],
  ["raw control characters", '{"skipped":"\u0001"}', "invalid_json"],
  ["invalid UTF-8", latin1('{"skipped":"\xff"}'), "invalid_json"],
  ["overlong UTF-8", latin1('{"skipped":"\xc0\x80"}'), "invalid_json"],
  ["surrogates as UTF-8", latin1('{"skipped":"\xed\xa0\x80"}'), "invalid_json"],
  ["UTF-16", latin1("\xff\xfe{\x00}\x00"), "invalid_json"],
  ["65 levels", nest(65), "invalid_json"],
  ["1,000 levels", nest(1000), "invalid_json"],
  ["100,000 levels", nest(100_000), "invalid_json"],
  ["100,000 levels without an end", "[".repeat(100_000), "invalid_json"],
  ["64 levels", nest(64), "invalid_request", "body.stars"],
  ["null", "null", "invalid_request", "body"],
  ["array", "[]", "invalid_request", "body"],
  ["string", '"x"', "invalid_request", "body"],
  ["number", "0", "invalid_request", "body"],
  ["empty object", "{}", "invalid_request", "body.stars"],
  ["unknown field", '{"stars":5,"bogus":1}', "invalid_request", "body.bogus"],
  ["__proto__", '{"stars":5,"__proto__":{"admin":true}}', "invalid_request", "body.__proto__"],
  ["constructor", '{"stars":5,"constructor":{"prototype":{"x":1}}}', "invalid_request", "body.constructor"],
  ["toString", '{"stars":5,"toString":1}', "invalid_request", "body.toString"],
  ["above the range", '{"stars":6}', "invalid_request", "body.stars"],
  ["below the range", '{"stars":-1}', "invalid_request", "body.stars"],
  ["fraction", '{"stars":1.5}', "invalid_request", "body.stars"],
  ["number as a string", '{"stars":"5"}', "invalid_request", "body.stars"],
  ["number beyond a double", '{"stars":1e400}', "invalid_request", "body.stars"],
  ["400 digits", `{"stars":${"9".repeat(400)}}`, "invalid_request", "body.stars"],
  ["NUL", '{"skipped":"a\\u0000b"}', "invalid_request", "body.skipped"],
  ["unpaired surrogate", `{"skipped":"a${surrogate}b"}`, "invalid_request", "body.skipped"],
  ["surrogates in the wrong order", '{"skipped":"\\udc00\\ud800"}', "invalid_request", "body.skipped"],
  ["NUL in a field name", '{"a\\u0000b":1}', "invalid_request", "body.a\0b"],
  ["nested NUL", '{"stars":[{"x":"\\u0000"}]}', "invalid_request", "body.stars.0.x"],
  ["200,000 values", `{"stars":[${"0,".repeat(200_000)}0]}`, "too_large"],
  ["5 MB", `{"skipped":"${"x".repeat(5_000_000)}"}`, "too_large"],
];

Deno.test("an invalid body results in a problem that names the field, and changes nothing", async (t) => {
  await using fixture = await startWithTask();
  const { api, people: { user }, path } = fixture;
  for (const [name, body, code, field] of invalidBodies) {
    await t.step(name, async () => {
      const answer = await put(api, user, path, body);
      const problem = checkProblem(answer, name);
      assert.equal(problem.code, code, answer.text);
      if (field) assert.ok(problem.errors?.some((fault) => fault.field === field), answer.text);
    });
  }
  const [row] = await api.database.sql`select count(*)::int as n from ratings`;
  assert.equal(row!.n, 0);
  assert.deepEqual(api.lines.filter(({ level }) => level === "error"), []);
  assert.equal(({} as Json).admin, undefined);
});

Deno.test("of two equal keys the last one counts; a byte order mark, spaces and any text are accepted", async (t) => {
  await using fixture = await startWithTask();
  const { api, people: { user }, path } = fixture;
  const texts = [
    "שלום",
    "👩‍👩‍👧",
    "a\u2028b\u2029c",
    "e\u0301 is not é",
    "\\ \" ' %s ${x} <b>",
    "=cmd()",
    "' or 1=1--",
  ];
  const validBodies: [name: string, body: string, expected: Json][] = [
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
  for (const [name, body, expected] of validBodies) {
    await t.step(name, async () => {
      const answer = await put(api, user, path, body);
      assert.equal(answer.status, 200, answer.text);
      const found = JSON.parse(answer.text) as Json;
      for (const [key, value] of Object.entries(expected)) assert.equal(found[key], value);
    });
  }
});

const mediaTypes: [name: string, headers: [string, string][], status: number][] = [
  ["none", [], 415],
  ["text/plain, which a form of another origin may send", [["Content-Type", "text/plain"]], 415],
  ["a form", [["Content-Type", "application/x-www-form-urlencoded"]], 415],
  ["multipart", [["Content-Type", "multipart/form-data; boundary=x"]], 415],
  ["JSON lines", [["Content-Type", "application/jsonl"]], 415],
  ["malformed", [["Content-Type", "application/json; ;;"]], 415],
  ["gzip", [["Content-Type", "application/json"], ["Content-Encoding", "gzip"]], 415],
  ["upper case", [["Content-Type", "APPLICATION/JSON"]], 200],
  ["with a charset", [["Content-Type", "application/json; charset=utf-8"]], 200],
  ["a JSON suffix", [["Content-Type", "application/merge-patch+json"]], 200],
];

Deno.test("a body without a JSON media type is rejected", async (t) => {
  await using fixture = await startWithTask();
  const { api, people: { user }, path } = fixture;
  for (const [name, headers, status] of mediaTypes) {
    await t.step(name, async () => {
      const answer = await put(api, user, path, '{"stars":3}', headers);
      assert.equal(answer.status, status, answer.text);
      if (status === 415) assert.equal(checkProblem(answer, name).code, "unsupported_media");
    });
  }
});

Deno.test("a body of 20 MB is rejected at once and does not block the event loop", async () => {
  await using fixture = await startWithTask();
  const { api, people: { user }, path } = fixture;
  const huge = new Uint8Array(20 * 1024 * 1024).fill(0x20);
  let blockedMs = 0;
  let lastTick = performance.now();
  const timer = setInterval(() => {
    blockedMs = Math.max(blockedMs, performance.now() - lastTick);
    lastTick = performance.now();
  }, 5);
  const send = (headers: Record<string, string>, body: BodyInit) =>
    fetch(`${api.origin}/api/v2${path}`, { method: "PUT", headers, body }).then(
      async (response) => ({
        status: response.status,
        headers: response.headers,
        text: await response.text(),
      }),
      // The server may close the connection without reading the rest; the client then sees no response.
      () => undefined,
    );
  const authenticated = { authorization: `Bearer ${user.access}`, "content-type": "application/json" };
  const answers = [
    await send(authenticated, huge),
    await send(authenticated, new Blob([huge]).stream()),
    await send({ "content-type": "application/json" }, huge),
  ];
  clearInterval(timer);
  assert.deepEqual(
    answers.map((answer) => answer?.status ?? 0).filter((status) => ![0, 401, 413].includes(status)),
    [],
  );
  const response = await sendPartial(api, user, path, 20_000_000);
  assert.match(response, /^HTTP\/1.1 413 [^]*problem:too_large/);
  assert.equal((await call(api, user, "PUT", path, { stars: 5 })).status, 200);
  assert.ok(blockedMs < 5000, `the event loop was blocked for ${blockedMs} ms`);
});

Deno.test("without a token, a body has at most 64 kB, and errors reveal nothing about the schema", async () => {
  await using fixture = await startWithTask();
  const { api, path } = fixture;
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

Deno.test("a body that arrives too slowly is rejected", async () => {
  await using api = await startApi({ bodyMsMax: 300 });
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  const answer = await sendPartial(api, user, `/tasks/${task}/cells/0/rating`, 100);
  assert.match(answer, /^HTTP\/1.1 408 [^]*problem:too_slow/);
});

Deno.test("requests whose body has not arrived do not occupy the gate", async () => {
  await using api = await startApi({ bodyMsMax: 3_600_000 });
  const { user } = await addPeople(api);
  const task = await addMatrix(api, user);
  await using open = new AsyncDisposableStack();
  // More than the gate admits at once.
  for (let i = 0; i < 100; i++) {
    const connection = open.use(await Deno.connect({ hostname: "127.0.0.1", port: api.port }));
    await connection.write(latin1(partialRequest(user, `/tasks/${task}/cells/0/rating`, 100)));
  }
  for (let i = 0; i < 20; i++) {
    const isServed = async () => (await call(api, user, "GET", "/users/me")).status === 200;
    await waitFor("a response beside the waiting requests", isServed);
  }
});
