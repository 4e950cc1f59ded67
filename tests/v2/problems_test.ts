/** Error responses: request ids, unknown errors, an unavailable database, and secrets in invalid fields. */
import assert from "node:assert/strict";
import { startApi } from "../support/api.ts";
import { sendRaw } from "../support/raw_http.ts";
import { addPeople, call } from "./support/api.ts";
import { checkProblem, startWithTask } from "./support/problems.ts";

Deno.test("a request has one id, which its response, its problem and its log line contain", async (t) => {
  await using api = await startApi();
  const { user } = await addPeople(api);
  const ids: [given: string, isKept: boolean][] = [
    ["abc-123_x=", true],
    ["x".repeat(255), true],
    ["x".repeat(256), false],
    ["a b", false],
    ["a%0d%0aSet-Cookie: x=y", false],
    ['"}\\', false],
    ['{"level":"error"}', false],
  ];
  for (const [given, isKept] of ids) {
    await t.step(given.slice(0, 40), async () => {
      api.lines.length = 0;
      const headers: [string, string][] = [["X-Request-Id", given], [
        "Authorization",
        `Bearer ${user.access}`,
      ]];
      const answer = await sendRaw(api.port, { method: "GET", path: "/api/v2/users/me", headers });
      const id = answer?.headers.get("x-request-id");
      assert.equal(answer?.status, 200);
      assert.equal(id === given, isKept, `${id}`);
      if (!isKept) assert.match(id!, /^[0-9a-f-]{36}$/);
      assert.equal(answer.headers.get("set-cookie"), null);
      assert.deepEqual(api.lines.map(({ msg, request_id: logged, route }) => [msg, logged, route]), [
        ["request", id, "/api/v2/users/me"],
      ]);
    });
  }
  const problem = await call(api, undefined, "GET", "/users/me", undefined, { "x-request-id": "mine" });
  assert.equal(problem.body.instance, "mine");
});

Deno.test("an unknown error is logged with the request id, and its text is not sent", async () => {
  await using fixture = await startWithTask();
  const { api, people: { user }, path } = fixture;
  await api.database.sql`alter table rating_history rename column action to act`;
  const answer = await call(api, user, "PUT", path, { stars: 5 });
  const problem = checkProblem(answer, "internal");
  assert.deepEqual([answer.status, problem.code], [500, "internal"]);
  assert.doesNotMatch(answer.text, /column|rating_history/);
  const [line] = api.lines.filter(({ level }) => level === "error");
  assert.equal(line?.request_id, answer.headers.get("x-request-id"));
  assert.match(String(line?.cause), /rating_history/);
});

Deno.test("an unavailable database results in 503 with Retry-After", async () => {
  await using fixture = await startWithTask();
  const { api, people: { user } } = fixture;
  await api.sql.end({ timeout: 1 });
  const answer = await call(api, user, "GET", "/users/me");
  assert.equal(checkProblem(answer, "away").code, "busy");
  assert.deepEqual([answer.status, answer.headers.get("retry-after")], [503, "1"]);
});

Deno.test("an error never repeats a secret", async () => {
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
