/** The rules of the shadow tool: differences that they explain, and similar ones that they do not. */
import assert from "node:assert/strict";
import { compareAnswers } from "../../dev/shadow/compare.ts";
import type { Step } from "../../dev/shadow/request.ts";
import { type Facts, ruleFor, rules } from "../../dev/shadow/rules.ts";
import type { Answer } from "../../dev/shadow/side.ts";
import { answer, origins, step } from "./support/backends.ts";

const signed: [string, string][] = [["Authorization", "Bearer ${token}"]];
const bad: [string, string][] = [["Authorization", "Bearer nope"]];
const broken = answer(500, "Internal Server Error");
const refused = answer(422, '{"detail":[{"type":"x"}]}');
const ok = answer(200, '{"data":{}}');
const badToken = answer(401, '{"detail":"无效的认证凭据"}');
const tasks = (...all: string[]) =>
  answer(200, `{"data":{"tasks":[${all.join(",")}],"total":${all.length}}}`);
const task = (id: string, status: string, name = "x") =>
  `{"id":"${id}","status":"${status}","task_name":"${name}"}`;
const subtasks = (status: string, ...of: string[]) =>
  answer(
    200,
    `{"data":{"status":"${status}","dramatiq_tasks":[${of.map((one) => `{"status":"${one}"}`).join(",")}]}}`,
  );
const raw = (...keys: string[]) =>
  answer(200, `{"data":{"results":{"raw":{${keys.map((key) => `"${key}":1`).join(",")}}}}}`);
const facts: Facts = { hiddenTasks: new Set(["hidden"]), misreportedTasks: new Set(["turned"]) };

/** A request, both answers, and the rule that must explain all their differences, if any. */
const ruleCases: [string, Step, Answer, Answer, string | undefined][] = [
  [
    "pending after a cancel",
    step("GET /api/v1/tasks/1"),
    subtasks("cancelled", "pending"),
    subtasks("cancelled", "cancelled"),
    "cancelling stops subtasks",
  ],
  [
    "completed after a cancel",
    step("GET /api/v1/tasks/1"),
    subtasks("cancelled", "completed"),
    subtasks("cancelled", "cancelled"),
    undefined,
  ],
  [
    "cancelled in a task that is not",
    step("GET /api/v1/tasks/1"),
    subtasks("pending", "pending"),
    subtasks("pending", "cancelled"),
    undefined,
  ],
  [
    "all failed",
    step("GET /api/v1/tasks/1"),
    subtasks("completed", "failed"),
    subtasks("failed", "failed"),
    "failed tasks stay failed",
  ],
  [
    "one completed",
    step("GET /api/v1/tasks/1"),
    subtasks("completed", "failed", "completed"),
    subtasks("failed", "failed", "completed"),
    undefined,
  ],
  [
    "in a list",
    step("GET /api/v1/tasks"),
    tasks(task("turned", "completed")),
    tasks(task("turned", "failed")),
    "failed tasks stay failed",
  ],
  [
    "in a list, of another task",
    step("GET /api/v1/tasks"),
    tasks(task("a", "completed")),
    tasks(task("a", "failed")),
    undefined,
  ],
  [
    "filtered by status",
    step("GET /api/v1/tasks?status=failed"),
    tasks(),
    tasks(task("turned", "failed")),
    "failed tasks stay failed",
  ],
  [
    "variable tag",
    step("POST /api/v1/tasks", '{"tags":[{"isVariable":true}]}', signed),
    broken,
    refused,
    "variable tag without variable",
  ],
  [
    "no variable tag",
    step("POST /api/v1/tasks", '{"tags":[{"isVariable":false}]}', signed),
    broken,
    refused,
    undefined,
  ],
  ["user id", step("GET /api/v1/users/nope"), broken, answer(404, "{}"), "malformed user id"],
  [
    "user id of the right form",
    step("GET /api/v1/users/67ecb1f5a1b2c3d4e5f2faee"),
    broken,
    answer(404, "{}"),
    undefined,
  ],
  [
    "expression",
    step("GET /api/v1/tasks?task_name=("),
    broken,
    tasks(task("a", "failed", "(")),
    "task_name is plain text",
  ],
  [
    "expression that finds another",
    step("GET /api/v1/tasks?task_name=a.b"),
    tasks(task("a", "x", "axb")),
    tasks(),
    "task_name is plain text",
  ],
  [
    "plain text that finds another",
    step("GET /api/v1/tasks?task_name=ab"),
    tasks(task("a", "x", "ab")),
    tasks(),
    undefined,
  ],
  [
    "expression that is still one",
    step("GET /api/v1/tasks?task_name=a.b"),
    tasks(),
    tasks(task("a", "x", "axb")),
    undefined,
  ],
  ["results", step("GET /api/v1/tasks/1"), raw("a"), raw("b", "c"), "results.raw has a key for each subtask"],
  [
    "no token",
    step("GET /api/v1/tasks/1/matrix"),
    ok,
    answer(401, "{}"),
    "detail and matrix require a token",
  ],
  ["a good token", step("GET /api/v1/tasks/1/matrix", null, signed), ok, answer(401, "{}"), undefined],
  [
    "list with a bad token",
    step("GET /api/v1/tasks", null, bad),
    tasks(),
    badToken,
    "invalid token on the task list",
  ],
  ["list with a good token", step("GET /api/v1/tasks", null, signed), tasks(), badToken, undefined],
  [
    "list with a bad token, in other words",
    step("GET /api/v1/tasks", null, bad),
    tasks(),
    answer(401, "{}"),
    undefined,
  ],
  [
    "first generations",
    step("GET /api/v1/tasks/hidden"),
    answer(404, "{}"),
    answer(200, '{"data":{"id":"hidden"}}'),
    "first-generation tasks are visible",
  ],
  [
    "others that come back",
    step("GET /api/v1/tasks/other"),
    answer(404, "{}"),
    answer(200, '{"data":{"id":"other"}}'),
    undefined,
  ],
  [
    "user gone",
    step("DELETE /api/v1/users/67ecb1f5a1b2c3d4e5f2faee"),
    broken,
    answer(404, "{}"),
    "missing user or taken e-mail",
  ],
  [
    "user taken",
    step("POST /api/v1/users/", "{}", signed),
    broken,
    answer(400, "{}"),
    "missing user or taken e-mail",
  ],
  ["skip=-1", step("GET /api/v1/users/?skip=-1"), broken, refused, "numbers that the old backend failed on"],
  ["skip=1", step("GET /api/v1/users/?skip=1"), broken, refused, undefined],
  [
    "past 64 bits",
    step("GET /api/v1/tasks?page=9223372036854775808"),
    broken,
    refused,
    "numbers that the old backend failed on",
  ],
  [
    "NaN",
    step("POST /api/v1/tasks", '{"tags":[NaN]}', signed),
    broken,
    refused,
    "numbers that the old backend failed on",
  ],
  [
    "concurrency",
    step("POST /api/v1/tasks", '{"settings":{"concurrency":"5"}}', signed),
    broken,
    refused,
    "numbers that the old backend failed on",
  ],
  [
    "concurrency that is a number",
    step("POST /api/v1/tasks", '{"settings":{"concurrency":5}}', signed),
    broken,
    refused,
    undefined,
  ],
  [
    "throttled",
    step("POST /api/v1/auth/login", "username=a"),
    badToken,
    answer(429, "{}"),
    "sign-in is throttled",
  ],
  ["anything else that fails", step("GET /api/v1/users/me", null, signed), ok, broken, undefined],
];
for (const [name, request, old, now, expected] of ruleCases) {
  Deno.test(`ruleFor(), ${name}: ${expected ?? "no rule"}`, () => {
    const { differences } = compareAnswers(old, now, () => undefined, origins);
    const exchange = { step: request, old, new: now };
    const found = new Set(differences.map((difference) => ruleFor(difference, exchange, facts)));
    assert.ok(differences.length > 0);
    assert.ok(found.has(expected), `got ${[...found]}`);
    assert.equal(found.size, 1);
  });
}

Deno.test("every rule has a case here or occurs in a complete run", () => {
  const testedByRuns = ["no redirect for a trailing slash"];
  const named = new Set(ruleCases.map(([, , , , rule]) => rule));
  assert.deepEqual(
    rules.map(({ name }) => name).filter((name) => !named.has(name) && !testedByRuns.includes(name)),
    [],
  );
});
