/** The shadow in a running front: requests of clients are compared in phase `shadow`, and in no other. */
import assert from "node:assert/strict";
import { listShadowDifferences } from "../../db/traffic/differences.ts";
import { changeTraffic, type Phase, readTraffic } from "../../db/traffic/traffic.ts";
import { listFrontProcesses } from "../../db/traffic/processes.ts";
import { startAltered } from "../shadow/support/altered.ts";
import { person, startLoaded } from "../shadow/support/backends.ts";
import { startApi } from "../support/api.ts";
import { waitFor } from "../support/wait.ts";
import { countAnswers, readOutcomes } from "./support/shadow.ts";

/** A front before a played old backend, whose data both have. */
async function startFront() {
  const loaded = await startLoaded();
  const old = startAltered(loaded.origin, {
    after: ({ path }, answer) => {
      if (path === "/api/v1/tasks") answer.text = answer.text.replace('"priority":1', '"priority":3');
    },
  });
  const api = await startApi({
    database: loaded.database,
    env: { LEGACY_API_URL: old.origin, SHADOW_PERCENT: "100" },
  });
  const { sql } = loaded.database;
  return {
    api,
    old,
    sql,
    async setPhase(phase: Phase) {
      const { version } = await readTraffic(sql);
      const change = { phase, share: 0, by: "test", reason: "test", forced: true, holdMs: null };
      const changed = await changeTraffic(sql, version, change);
      await waitFor("the acknowledgement", async () => {
        const [process] = await listFrontProcesses(sql);
        return process && process.acknowledged >= changed!.version;
      });
    },
    async [Symbol.asyncDispose]() {
      await api[Symbol.asyncDispose]();
      await old[Symbol.asyncDispose]();
      await loaded[Symbol.asyncDispose]();
    },
  };
}

Deno.test("answers to clients are the old backend's, and are compared in phase shadow only", async () => {
  await using front = await startFront();
  const { api, old, sql } = front;
  const headers = { authorization: `Bearer ${await api.tokens.sign({ sub: "x", email: person.email })}` };
  const get = (origin: string, path: string) =>
    fetch(origin + path, { headers }).then((response) => response.text());
  const list = "/api/v1/tasks?page_size=5";
  const before = await get(old.origin, list);
  assert.equal(await get(api.origin, list), before);
  await front.setPhase("shadow");
  assert.equal(await get(api.origin, list), before);
  await get(api.origin, "/api/v1/users/me");
  await fetch(`${api.origin}/api/v1/tasks/none/cancel`, { method: "POST", headers }).then((r) => r.text());
  await waitFor("two compared answers", async () => (await countAnswers(sql))[0] === 2);
  const rows = await listShadowDifferences(sql, 10);
  assert.deepEqual(
    rows.map((
      { route, path, cause, sample_old, sample_new },
    ) => [route, path, cause, sample_old, sample_new]),
    [["GET /api/v1/tasks", "/data/tasks/*/priority", "code", "3", "1"]],
  );
  assert.deepEqual([...await readOutcomes(api.metrics)].toSorted(), [["different", 1], ["equal", 1]]);
  const { values } = await api.metrics.frontRequests.get();
  assert.deepEqual(
    values.map(({ labels: { phase, system }, value }) => [phase, system, value]),
    [["old", "old", 1], ["shadow", "old", 3]],
  );
});

Deno.test("an old backend that is away is counted, and is not compared", async () => {
  await using front = await startFront();
  await front.setPhase("shadow");
  await front.old[Symbol.asyncDispose]();
  const response = await fetch(`${front.api.origin}/health`);
  await response.body?.cancel();
  assert.equal(response.status, 502);
  const { metrics } = front.api;
  assert.equal((await metrics.frontProxyFailures.get()).values[0]!.value, 1);
  assert.deepEqual([...await readOutcomes(metrics)], []);
});
