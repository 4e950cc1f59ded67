/** The shadow tool against a simulation of the old backend with its known differences and its changes on reads. */
import assert from "node:assert/strict";
import { readRecording, type RecordedCall } from "../../dev/shadow/recorded.ts";
import { renderReport, unexplained } from "../../dev/shadow/report.ts";
import type { Result } from "../../dev/shadow/run.ts";
import type { TestApi } from "../support/api.ts";
import { startAltered } from "./support/altered.ts";
import {
  compare,
  completeEndedTask,
  findFailedTasks,
  keyOf,
  person,
  recording,
  startLoaded,
  step,
} from "./support/backends.ts";
import { playOldBackend } from "./support/old_backend.ts";

const describeAll = (result: Result) =>
  unexplained(result).map((one) => `${keyOf(one)} ${one.old} → ${one.new}`);
const rulesOf = ({ findings }: Result) => [...new Set(findings.map(({ rule }) => rule!))].sort();
const signed: [string, string][] = [["Authorization", "Bearer ${token}"]];
const reads = (...targets: string[]): RecordedCall[] =>
  targets.map((target) => ({ step: step(`GET ${target}`, null, signed), isWrite: false }));
const ownRead = "the old backend's own read changed the task";
const signToken = (api: TestApi) => api.tokens.sign({ sub: "x", email: person.email });

Deno.test("rules explain all known differences of the old backend", async () => {
  await using api = await startLoaded();
  await using before = await startLoaded();
  const failed = await findFailedTasks(before);
  assert.ok(failed.length > 0);
  // Somebody read these tasks in the old backend before the run.
  for (const id of failed) await completeEndedTask(before, id);
  const rows = await api.database.sql<{ id: string }[]>`
    select id from tasks where not is_deleted and id <> all (${failed}::uuid[]) order by created_at desc limit 4`;
  const hiddenTasks = new Set(rows.slice(2, 4).map(({ id }) => id));
  const ways = { token: await signToken(before), hiddenTasks };
  await using old = startAltered(before.origin, playOldBackend(ways));
  const result = await compare(old.origin, api.origin, { seed: 11, runs: 700 });
  assert.deepEqual(describeAll(result), []);
  assert.deepEqual(rulesOf(result), [
    "detail and matrix require a token",
    "failed tasks stay failed",
    "first-generation tasks are visible",
    "invalid token on the task list",
    "malformed user id",
    "no redirect for a trailing slash",
    "numbers that the old backend failed on",
    "task_name is plain text",
  ]);
});

Deno.test("tasks that the old backend changes by its own reads are noise of the old backend", async (t) => {
  await using api = await startLoaded();
  const [first = "", second = ""] = await findFailedTasks(api);
  assert.ok(first !== "" && second !== "");
  const lists = ["", "&status=failed", "&status=completed", "&status=failed,completed", "&status=cancelled"];
  const calls = reads(
    `/api/v1/tasks/${first}`,
    ...lists.map((filter) => `/api/v1/tasks?page_size=100${filter}`),
    "/api/v1/tasks?page_size=1&status=failed",
    "/api/v1/tasks?page_size=2&page=2&status=completed",
    `/api/v1/tasks/${first}`,
    `/api/v1/tasks/${second}/matrix`,
    `/api/v1/tasks/${second}`,
  );
  await t.step("recorded reads", async () => {
    await using before = await startLoaded();
    const afterRead = (id: string) => completeEndedTask(before, id);
    await using old = startAltered(
      before.origin,
      playOldBackend({ token: await signToken(before), afterRead }),
    );
    const result = await compare(old.origin, api.origin, { runs: 0, recorded: calls });
    assert.deepEqual(describeAll(result), []);
    assert.deepEqual(rulesOf(result), [ownRead]);
    const paths = new Set(result.findings.map(keyOf));
    const fields = ["status", "updated_at"];
    const expected = [
      ...fields.map((field) => `GET /api/v1/tasks/{id}: value /data/${field}`),
      ...[...fields, "processed_images", "progress"].map((field) =>
        `GET /api/v1/tasks: value /data/tasks/*/${field}`
      ),
    ];
    assert.deepEqual(expected.filter((key) => !paths.has(key)), []);
    const report = renderReport(result, api.origin).join("\n");
    assert.match(
      report,
      /^noise of the old backend:\n +\d+ {2}the old backend's own read changed the task$/m,
    );
    assert.ok(!report.includes("intended differences"));
    const listReads = old.requests.filter((line) => line.includes("/api/v1/tasks?page=1&page_size=100 "));
    assert.ok(listReads.length <= 4, `the old list was read ${listReads.length} times`);
  });
  await t.step("a task stored as processing whose subtasks have ended", async () => {
    await using before = await startLoaded();
    await using now = await startLoaded();
    for (const { database: { sql } } of [before, now]) {
      await sql`update tasks set status = 'processing', completed_at = null where id in (${first}, ${second})`;
    }
    const afterRead = (id: string) => completeEndedTask(before, id);
    await using old = startAltered(
      before.origin,
      playOldBackend({ token: await signToken(before), afterRead }),
    );
    const result = await compare(old.origin, now.origin, { runs: 0, recorded: calls });
    assert.deepEqual(describeAll(result), []);
    assert.ok(rulesOf(result).includes(ownRead));
  });
  await t.step("generated reads, and the recording", async () => {
    await using before = await startLoaded();
    const afterRead = (id: string) => completeEndedTask(before, id);
    await using old = startAltered(
      before.origin,
      playOldBackend({ token: await signToken(before), afterRead }),
    );
    const recorded = await readRecording(recording);
    const result = await compare(old.origin, api.origin, { seed: 23, runs: 500, recorded });
    assert.deepEqual(describeAll(result), []);
    assert.ok(rulesOf(result).includes(ownRead));
  });
  await t.step("a second run finds the tasks changed before it", async () => {
    await using before = await startLoaded();
    await completeEndedTask(before, first);
    await using old = startAltered(before.origin, playOldBackend({ token: await signToken(before) }));
    const result = await compare(old.origin, api.origin, { runs: 0, recorded: calls });
    assert.deepEqual(describeAll(result), []);
    assert.deepEqual(rulesOf(result), ["failed tasks stay failed"]);
  });
});

Deno.test("changes that the old backend's own read does not explain stay differences", async (t) => {
  await using api = await startLoaded();
  const [first = ""] = await findFailedTasks(api);
  const calls = reads(`/api/v1/tasks/${first}`, "/api/v1/tasks?page_size=100", `/api/v1/tasks/${first}`);
  type Change = (old: TestApi) => Promise<unknown>;
  const changes: [string, string, Change][] = [
    [
      "another field of the task",
      "/{id}: value /data/priority",
      ({ database: { sql } }) => sql`update tasks set priority = 7 where id = ${first}`,
    ],
    [
      "a status that a read does not set",
      ": value /data/tasks/*/status",
      ({ database: { sql } }) =>
        sql`update tasks set status = 'cancelled', updated_at = now() where id = ${first}`,
    ],
    [
      "an earlier time",
      "/{id}: value /data/updated_at",
      ({ database: { sql } }) => sql`update tasks set updated_at = '2020-01-01' where id = ${first}`,
    ],
  ];
  for (const [name, path, change] of changes) {
    await t.step(name, async () => {
      await using before = await startLoaded();
      const afterRead = async () => {
        await change(before);
      };
      const ways = { token: await signToken(before), afterRead };
      await using old = startAltered(before.origin, playOldBackend(ways));
      const result = await compare(old.origin, api.origin, { runs: 0, recorded: calls });
      const paths = new Set(unexplained(result).map(keyOf));
      assert.ok(paths.has(`GET /api/v1/tasks${path}`), [...paths].join());
      assert.ok(!rulesOf(result).includes(ownRead));
    });
  }
  await t.step("a fault of the new backend beside the change", async () => {
    await using before = await startLoaded();
    const afterRead = (id: string) => completeEndedTask(before, id);
    await using old = startAltered(
      before.origin,
      playOldBackend({ token: await signToken(before), afterRead }),
    );
    await using faulty = startAltered(api.origin, {
      after: (_, answer) => {
        answer.text = answer.text.replaceAll(/"processed_images":\d+/g, '"processed_images":12345');
      },
    });
    const result = await compare(old.origin, faulty.origin, { runs: 0, recorded: calls });
    assert.deepEqual([...new Set(unexplained(result).map(keyOf))].sort(), [
      "GET /api/v1/tasks/{id}: value /data/processed_images",
      "GET /api/v1/tasks: value /data/tasks/*/processed_images",
    ]);
  });
});
