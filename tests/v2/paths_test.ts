/** Paths, methods, pages and CORS. */
import assert from "node:assert/strict";
import { createIdleApp } from "../../dev/openapi.ts";
import { listRoutes } from "../../routes/v2/kit/route.ts";
import { startApi } from "../support/api.ts";
import { sendRaw } from "../support/raw_http.ts";
import { call, type V2Person } from "./support/api.ts";
import { checkProblem, startWithTask } from "./support/problems.ts";

const routes = listRoutes(createIdleApp());

/** Methods of the route of a rating. */
const allowOfRating = "GET, HEAD, PUT, DELETE, OPTIONS";
const someId = "00000000-0000-4000-8000-000000000000";
const oddSegments = [
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
  await using fixture = await startWithTask();
  const { api, people: { admin, user }, task } = fixture;
  const targets = oddSegments.flatMap((id) => [
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

Deno.test("an invalid limit or cursor of a page is named", async (t) => {
  await using fixture = await startWithTask();
  const { api, people: { user }, path } = fixture;
  const encode = (text: string) => btoa(text).replaceAll("=", "").replaceAll("+", "-").replaceAll("/", "_");
  const invalidQueries: [query: string, field: string][] = [
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
  for (const [query, field] of invalidQueries) {
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

Deno.test("an unknown path is not found; an unknown method is rejected with the methods of the path", async () => {
  await using fixture = await startWithTask();
  const { api, people: { user }, path } = fixture;
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

Deno.test("a fixed path beside a parameter has only its own methods", async (t) => {
  await using fixture = await startWithTask();
  const { api, people: { admin } } = fixture;
  const paths = [...new Set(routes.map(({ path }) => path))];
  const toPattern = (path: string) => new RegExp(`^${path.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`);
  const fixed = paths.filter((path) =>
    !path.includes("{") && paths.some((other) => other !== path && toPattern(other).test(path))
  );
  assert.deepEqual(fixed.toSorted(), ["/tasks/events", "/tasks/plan", "/users/me"]);
  for (const path of fixed) {
    const own = routes.filter((route) => route.path === path)
      .flatMap(({ method }) => method === "GET" ? ["GET", "HEAD"] : [method]);
    const allow = [...own, "OPTIONS"].join(", ");
    const others = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"].filter((method) =>
      !own.includes(method)
    );
    for (const method of others) {
      await t.step(`${method} ${path}`, async () => {
        const answer = await call(
          api,
          admin,
          method,
          path,
          ["GET", "HEAD"].includes(method) ? undefined : {},
        );
        assert.deepEqual([answer.status, answer.headers.get("allow")], [405, allow], answer.text);
      });
    }
    const options = await call(api, undefined, "OPTIONS", path);
    assert.deepEqual([options.status, options.headers.get("allow")], [204, allow]);
  }
});

Deno.test("every path answers OPTIONS with the methods of its routes", async () => {
  await using api = await startApi();
  for (const path of new Set(routes.map(({ path }) => path))) {
    const methods = routes.filter((route) => route.path === path).map(({ method }) => method);
    const example = path.replaceAll(/\{[^}]+\}/g, "some");
    const { status, headers } = await call(api, undefined, "OPTIONS", example);
    const allow = headers.get("allow")?.split(", ").filter((method) => !["HEAD", "OPTIONS"].includes(method));
    assert.deepEqual([status, allow?.toSorted()], [204, methods.toSorted()], path);
  }
});

Deno.test("the path alone decides the route, and NUL in the query is named", async (t) => {
  await using fixture = await startWithTask();
  const { api, people: { admin }, task } = fixture;
  const cases: [method: string, target: string, code: string, fields?: [field: string, value: string][]][] = [
    ["GET", "/users?=%00", "invalid_request", [["query.", '"\\u0000"']]],
    ["GET", "/users?=a%00b&q=x", "invalid_request", [["query.", '"a\\u0000b"']]],
    ["GET", "/users?q=%00", "invalid_request", [["query.q", '"\\u0000"']]],
    ["GET", "/users?limit=5&limit=%00", "invalid_request", [["query.limit", '"\\u0000"']]],
    ["GET", "/users?%00", "invalid_request", [["query.\0", '""']]],
    ["GET", "/users?%00=&=%00", "invalid_request", [["query.\0", '""'], ["query.", '"\\u0000"']]],
    ["GET", `/tasks/${task}?%zz=%00`, "invalid_request", [["query.%zz", '"\\u0000"']]],
    ["GET", "/nothing?=%00", "not_found"],
    ["GET", "/nothing?a=%00", "not_found"],
    ["GET", "/users%00?q=x", "not_found"],
    ["GET", "/users/%00?a=%00", "not_found"],
    ["PUT", "/users?=%00", "method_not_allowed"],
    ["DELETE", "/openapiXjson", "not_found"],
    ["OPTIONS", "/openapiXjson", "not_found"],
    ["OPTIONS", "/users/", "not_found"],
  ];
  for (const [method, target, code, fields] of cases) {
    await t.step(`${method} ${target}`, async () => {
      const answer = await call(api, admin, method, target);
      const problem = checkProblem(answer, target);
      assert.deepEqual(
        [problem.code, problem.errors?.map(({ field, value }) => [field, value])],
        [code, fields],
        answer.text,
      );
    });
  }
  // A pair without NUL is ignored where its name is empty, as where it is unknown.
  for (const query of ["=", "=x", "&&=&", "=%2500"]) {
    assert.equal((await call(api, admin, "GET", `/users?${query}`)).status, 200, query);
  }
});

Deno.test("HEAD responds like GET without the body; OPTIONS lists the methods", async () => {
  await using fixture = await startWithTask();
  const { api, people: { user }, path } = fixture;
  const got = await call(api, user, "GET", "/users/me");
  const requestHead = async (who: V2Person | undefined, at: string) => {
    const headers: Record<string, string> = who ? { authorization: `Bearer ${who.access}` } : {};
    const response = await fetch(`${api.origin}/api/v2${at}`, { method: "HEAD", headers });
    return { status: response.status, headers: response.headers, text: await response.text() };
  };
  const head = await requestHead(user, "/users/me");
  assert.deepEqual([head.status, head.text, head.headers.get("content-type")], [
    200,
    "",
    got.headers.get("content-type"),
  ]);
  const refused = await requestHead(undefined, "/users/me");
  assert.deepEqual([refused.status, refused.text], [401, ""]);
  assert.equal((await requestHead(user, "/auth/login")).status, 405);
  const options = await call(api, undefined, "OPTIONS", path);
  assert.deepEqual([options.status, options.headers.get("allow")], [204, allowOfRating]);
  assert.equal(checkProblem(await call(api, undefined, "OPTIONS", "/nothing"), "OPTIONS").code, "not_found");
});

Deno.test("CORS_ORIGINS permits other origins, and never with credentials", async (t) => {
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
    await t.step(`${origin} with CORS_ORIGINS=${setting}`, async () => {
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
