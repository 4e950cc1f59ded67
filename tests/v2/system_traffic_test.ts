/** The traffic between the old backend and this system: its state and its changes. */
import assert from "node:assert/strict";
import { saveShadowAnswer, saveShadowDifferences } from "../../db/traffic/differences.ts";
import { saveFrontProcess } from "../../db/traffic/processes.ts";
import { changeTraffic } from "../../db/traffic/traffic.ts";
import { startApi, type TestApi } from "../support/api.ts";
import { addPeople, call } from "./support/api.ts";

const path = "/system/traffic";

/** Changes the phase as a cut-over does, without a check of the order. */
const setPhase = ({ database: { sql } }: TestApi, version: number, phase: "holding" | "new") =>
  changeTraffic(sql, version, {
    phase,
    share: 0,
    by: "cutover",
    reason: "test",
    forced: false,
    holdMs: phase === "holding" ? 60_000 : null,
  });

Deno.test("the traffic shows phase, processes, changes, counts and differences to staff", async () => {
  await using api = await startApi();
  const { manager, user } = await addPeople(api);
  const { sql } = api.database;
  await saveFrontProcess(sql, {
    id: "a",
    host: "one",
    pid: 7,
    product: "1",
    key_digest: "x",
    acknowledged: 1,
    writes_in_flight: 2,
    writes_held: 0,
  });
  await saveShadowAnswer(sql, true);
  await saveShadowAnswer(sql, false);
  const difference = { route: "GET /api/v1/tasks", path: "/data/total", rule: "", target: "/api/v1/tasks" };
  await saveShadowDifferences(sql, [{ ...difference, cause: "noise", old: "1", new: "2" }]);
  for (const old of ["3", "4"]) {
    await saveShadowDifferences(sql, [{ ...difference, cause: "code", old, new: "5" }]);
  }
  const { status, body, headers } = await call(api, manager, "GET", path);
  assert.equal(status, 200);
  assert.deepEqual([body.phase, body.share, body.version, body.phase_before], ["old", 0, 1, null]);
  assert.equal(headers.get("etag"), 'W/"traffic-1"');
  const [process] = body.processes;
  assert.ok(process.seen_ms_ago >= 0);
  assert.deepEqual([process.host, process.is_current, process.writes_in_flight], ["one", true, 2]);
  const { differences, ...counts } = body.shadow;
  assert.deepEqual(counts, { hours: 24, compared: 2, equal: 1, unexplained: 1 });
  assert.deepEqual(
    differences.map((
      { cause, answers, sample_old }: Record<string, unknown>,
    ) => [cause, answers, sample_old]),
    [["code", 2, "4"], ["noise", 1, "1"]],
  );
  assert.deepEqual(body.changes, []);
  assert.equal((await call(api, user, "GET", path)).status, 403);
});

Deno.test("an admin changes phase and share in order, and the journal says who, when and why", async () => {
  await using api = await startApi();
  const { admin, manager } = await addPeople(api);
  const patch = (body: unknown, headers = {}) => call(api, admin, "PATCH", path, body, headers);
  assert.equal((await call(api, manager, "PATCH", path, { phase: "shadow", reason: "x" })).status, 403);
  const shadow = await patch({ phase: "shadow", reason: "compare a day" });
  assert.deepEqual([shadow.status, shadow.body.phase, shadow.body.version], [200, "shadow", 2]);
  const canary = await patch({ phase: "canary", share: 5, reason: "a few" });
  assert.deepEqual([canary.body.phase, canary.body.share], ["canary", 5]);
  assert.equal((await patch({ share: 25, reason: "more" })).body.share, 25);
  const same = await patch({ phase: "canary", share: 25, reason: "again" });
  assert.deepEqual([same.status, same.body.version, same.body.changes.length], [200, 4, 3]);
  const [last] = same.body.changes;
  assert.deepEqual(
    [last.changed_by, last.reason, last.share_before, last.share_after, last.forced],
    [admin.email, "more", 5, 25, false],
  );
  assert.ok(Math.abs(Date.parse(last.at) - Date.now()) < 60_000);
});

Deno.test("a change out of order says why, and with force it is made and marked", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  const patch = (body: Record<string, unknown>) =>
    call(api, admin, "PATCH", path, { reason: "test", ...body });
  const early = await patch({ phase: "new" });
  assert.deepEqual([early.status, early.body.type], [409, "urn:contactsheet:problem:conflict"]);
  assert.match(early.body.detail, /'old' to 'new': only a cut-over .*; 'force' overrides this$/);
  assert.match((await patch({ phase: "canary" })).body.detail, /phase 'shadow' comes first/);
  assert.match((await patch({ phase: "holding", force: true })).body.detail, /only a cut-over or a rollback/);
  assert.match((await patch({ share: 5 })).body.detail, /phase 'canary' only/);
  const { body: { version, changes } } = await call(api, admin, "GET", path);
  assert.deepEqual([version, changes], [1, []], "nothing has changed");
  const forced = await patch({ phase: "new", force: true });
  assert.deepEqual([forced.status, forced.body.phase, forced.body.changes[0].forced], [200, "new", true]);
  assert.match((await patch({ phase: "old" })).body.detail, /only a rollback/);
});

Deno.test("a change is refused while a switch holds the writes, and shows when the hold ends", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  await setPhase(api, 1, "holding");
  const refused = await call(api, admin, "PATCH", path, { phase: "old", reason: "test" });
  assert.equal(refused.status, 409);
  assert.match(refused.body.detail, /a switch holds the writes/);
  const { body } = await call(api, admin, "GET", path);
  assert.deepEqual([body.phase, body.phase_before], ["holding", "old"]);
  assert.ok(body.hold_ends_in_ms > 0 && body.hold_ends_in_ms <= 60_000);
});

Deno.test("of two people who change at once, the second is told so", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  const { headers } = await call(api, admin, "GET", path);
  const known = { "if-match": headers.get("etag")! };
  const patch = (reason: string) => call(api, admin, "PATCH", path, { phase: "shadow", reason }, known);
  assert.equal((await patch("first")).status, 200);
  const second = await patch("second");
  assert.equal(second.status, 409);
  assert.match(second.body.detail, /changing what has changed/);
  const both = await Promise.all(
    ["old", "canary"].map((phase) => call(api, admin, "PATCH", path, { phase, reason: "race" })),
  );
  const statuses = both.map(({ status }) => status).toSorted();
  assert.ok(statuses[0] === 200 && [200, 409].includes(statuses[1]!), String(statuses));
});

Deno.test("invalid changes are refused by field", async () => {
  await using api = await startApi();
  const { admin } = await addPeople(api);
  const cases: [unknown, string][] = [
    [{ share: 101, reason: "x" }, "body.share"],
    [{ share: 0.5, reason: "x" }, "body.share"],
    [{ phase: "later", reason: "x" }, "body.phase"],
    [{ phase: "shadow" }, "body.reason"],
    [{ phase: "shadow", reason: "" }, "body.reason"],
    [{ phase: "shadow", reason: "x", force: "yes" }, "body.force"],
    [{ phase: "shadow", reason: "x", who: "me" }, "body.who"],
  ];
  for (const [body, field] of cases) {
    const answer = await call(api, admin, "PATCH", path, body);
    assert.equal(answer.status, 422, JSON.stringify(body));
    assert.deepEqual(answer.body.errors.map((error: { field: string }) => error.field), [field]);
  }
});
