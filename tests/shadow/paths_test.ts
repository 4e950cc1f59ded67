/** Paths that the old backend redirects, or that clients and backends read in different ways. */
import assert from "node:assert/strict";
import { hasDotSegments, redirectedPath } from "../../comparison/paths.ts";
import type { RecordedCall } from "../../dev/shadow/recorded.ts";
import { unexplained } from "../../dev/shadow/report.ts";
import { targetOf } from "../../comparison/request.ts";
import { toCurl } from "../../dev/shadow/curl.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { email, emailOf, loadOldIds, oid, taskIds, userIds } from "../support/old_ids.ts";
import { createAnswer, startAltered } from "./support/altered.ts";
import { compareWithToken, keyOf, step } from "./support/backends.ts";
import { playOldBackend } from "./support/old_backend.ts";

const slash = "no redirect for a trailing slash";
const slashInId = "ids can contain an encoded slash";
const signed: [string, string][] = [["Authorization", "Bearer ${token}"]];

const locations: [target: string, location: string, expected: string | undefined][] = [
  ["/t/7/", "http://old/t/7", "/t/7"],
  ["/t/7", "http://old/t/7/", "/t/7/"],
  ["/t/7//", "http://old/t/7", "/t/7"],
  ["/t/..%2f", "http://old/t/..", "/t/.."],
  ["/t/..%2F%2f", "http://old/t/..", "/t/.."],
  ["/t/%2e%2e/", "http://old/t/..", "/t/.."],
  ["/t%2f7%2f", "http://old/t/7", "/t/7"],
  ["/t/7%2f?x=1&y=%2F", "http://old/t/7?x=1&y=%2F", "/t/7?x=1&y=%2F".split("?")[0]],
  ["/t/%E6%A8%B1/", "/t/%E6%A8%B1", "/t/%E6%A8%B1"],
  ["/t/a%252f/", "http://old/t/a%2f", "/t/a%252f"],
  ["/t/a%3Fb/", "http://old/t/a?b", "/t/a%3Fb"],
  ["/t/7/", "http://old/t/8", undefined],
  ["/t/7/", "http://old/t/7?x=1", undefined],
  ["/t/7/?x=1", "http://old/t/7", undefined],
  ["/t/..%2f", "http://old/", undefined],
  ["/t/7/", "", undefined],
];
for (const [target, location, expected] of locations) {
  Deno.test(`redirectedPath() of ${target} to '${location}' is ${expected ?? "unknown"}`, () => {
    assert.equal(redirectedPath(target, location), expected);
  });
}

const dotted: [string, boolean][] = [
  ["/t/..", true],
  ["/t/%2e%2E/x", true],
  ["/t/.%2e", true],
  ["/./t", true],
  ["/t/..%2f", false],
  ["/t/...", false],
  ["/t/.x", false],
  ["/t", false],
];
for (const [path, expected] of dotted) {
  Deno.test(`hasDotSegments() of ${path} is ${expected}`, () => assert.equal(hasDotSegments(path), expected));
}

Deno.test("toCurl() lets curl send dot segments as they are", () => {
  assert.equal(toCurl(step("GET /t/%2e%2e/x"), "http://a"), "curl -i --path-as-is http://a/t/%2e%2e/x");
});

/** Both sides use this API with documents whose ids contain slashes, percent signs and spaces. */
async function startWithOldIds(): Promise<TestApi> {
  const api = await startApi();
  await loadOldIds(api.database.sql);
  return api;
}
const call = (line: string): RecordedCall => ({ step: step(line, null, signed), isWrite: false });
const slashes = ["", "/", "//", "%2f", "%2F%2F", "/%2f"];

/** Requests, and the rules that must explain their differences. */
const groups: [name: string, lines: string[], rules: string[]][] = [
  [
    "encoded dots and slashes as an id",
    ["..%2f", "%2e%2e%2f", "%2E%2E/", "../", ".%2F", "%252e%252e%252f%2f", "a//", "%20%2f", "%00%2f"]
      .flatMap((id) => [`GET /api/v1/tasks/${id}`, `DELETE /api/v1/tasks/${id}`, `GET /api/v1/users/${id}`]),
    ["malformed user id", slash],
  ],
  [
    "known paths with every form of the last slash",
    ["/api/v1/tasks", "/api/v1/users", "/api/v1/users/me", "/api/v1/tasks/task-0042", "/health", "/docs"]
      .flatMap((path) => slashes.map((end) => `GET ${path}${end}?page=1`)),
    [slash],
  ],
  [
    "other methods with a last slash",
    [
      "POST /api/v1/users%2f",
      "PUT /api/v1/tasks/",
      "PATCH /api/v1/users/me%2F",
      "POST /api/v1/auth/login%2f",
    ],
    [slash],
  ],
  [
    "a slash, dots or a part of the path in another form, which both backends read alike",
    [
      "GET /api/v1%2Ftasks",
      "GET /api%2fv1%2Ftasks/task-0042",
      "GET /api/v1/tasks/..",
      "GET /api/v1/tasks/%2e%2e/matrix",
      "GET /api/v1/users/../tasks",
      "GET /api/v1/./tasks",
      "GET //api/v1/tasks",
      "GET /api/v1//tasks",
      "GET /api/v1/tasks//matrix",
      "GET /",
      "GET //",
      "GET /%2f",
    ],
    [],
  ],
  [
    "ids with slashes and percent signs",
    taskIds.flatMap(([, , id]) => id ?? []).flatMap((id) =>
      ["", "/", "%2f", "/matrix", "/matrix%2f"].map((end) =>
        `GET /api/v1/tasks/${encodeURIComponent(id)}${end}`
      )
    ),
    [slashInId, slash],
  ],
  [
    "ids of users",
    userIds.map(([, , id]) => `GET /api/v1/users/${encodeURIComponent(id)}`),
    [slashInId, "malformed user id"],
  ],
  [
    "an encoded slash that names nothing",
    [
      "GET /api/v1/tasks/a%2Fb",
      "GET /api/v1/users/a%2Fb",
      "DELETE /api/v1/tasks/a%2fb",
      "POST /api/v1/tasks/a%2fb/cancel",
    ],
    [],
  ],
];

Deno.test("rules explain the old backend's redirects and every other reading of a path", async (t) => {
  await using api = await startWithOldIds();
  const token = await api.tokens.sign({ sub: oid(9001), email });
  await using old = startAltered(api.origin, playOldBackend({ token }));
  await using now = startAltered(api.origin, {});
  for (const [name, lines, rules] of groups) {
    await t.step(name, async () => {
      const result = await compareWithToken(old.origin, now.origin, token, lines.map(call));
      const open = unexplained(result).map((one) =>
        `${targetOf(one.example[0]!)} ${keyOf(one)} ${one.old} → ${one.new}`
      );
      assert.deepEqual(open, []);
      assert.deepEqual([...new Set(result.findings.map(({ rule }) => rule))].sort(), rules);
    });
  }
  await t.step("the new backend receives every path as it is written", () => {
    const targets = now.requests.map((line) => line.split(" ")[1]!);
    for (
      const target of [
        "/api/v1/tasks/..",
        "/api/v1/users/../tasks",
        "/api/v1/tasks/%2E%2E/",
        "//api/v1/tasks",
      ]
    ) {
      assert.ok(targets.includes(target), target);
    }
  });
  await t.step(
    "an encoded slash that names nothing, as a user without rights or with an invalid body",
    async () => {
      const user = await api.tokens.sign({ sub: oid(9002), email: emailOf(1) });
      const lines = ["GET /api/v1/users/a%2Fb", "DELETE /api/v1/users/a%2Fb", "PUT /api/v1/users/a%2Fb"];
      const calls = [...lines.map(call), {
        step: step("PUT /api/v1/users/a%2Fb", "{", signed),
        isWrite: false,
      }];
      for (const one of [user, token]) {
        const { findings } = await compareWithToken(old.origin, now.origin, one, calls);
        assert.deepEqual(findings.map((finding) => `${keyOf(finding)} ${finding.old} → ${finding.new}`), []);
      }
    },
  );
  await t.step("generated requests", async () => {
    const result = await compareWithToken(old.origin, now.origin, token, [], { seed: 31, runs: 400 });
    const open = unexplained(result).map((one) =>
      `${targetOf(one.example[0]!)} ${keyOf(one)} ${one.old} → ${one.new}`
    );
    assert.deepEqual(open, []);
  });
});

Deno.test("a redirect to another target is a difference", async () => {
  await using api = await startWithOldIds();
  const token = await api.tokens.sign({ sub: oid(9001), email });
  const targets: Record<string, string> = {
    "/api/v1/tasks/..%2f": "/",
    "/api/v1/tasks/1/": "/api/v1/tasks/2",
    "/api/v1/tasks/%2e%2e/": "/api/v1/tasks/../",
  };
  await using old = startAltered(api.origin, {
    before: ({ path }) =>
      targets[path] === undefined ? undefined : createAnswer(307, "", { location: targets[path] }),
  });
  const calls = Object.keys(targets).map((path) => call(`GET ${path}`));
  for (const one of calls) {
    const { findings } = await compareWithToken(old.origin, api.origin, token, [one]);
    assert.deepEqual(
      findings.map(({ rule, kind }) => [rule, kind]),
      [[undefined, "status"]],
      targetOf(one.step),
    );
  }
});
