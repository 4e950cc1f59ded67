/** The image API's health: judged calls, changes of slots, and one circuit per backend. */
import assert from "node:assert/strict";
import { adjustCap, type Cap, subtractCounts, uncapped } from "../../jobs/slots/aimd.ts";
import { BackendHealth, type HealthCounts, judgeCall, noCounts } from "../../jobs/image/health.ts";
import type { HttpResult } from "../../http.ts";
import { readSubtasks, startRig, waitForEnd } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const answer = (status: number, text = "{}", headers = {}): HttpResult => ({
  kind: "answer",
  status,
  text,
  headers: new Headers(headers),
});
const calls: [string, HttpResult, ReturnType<typeof judgeCall>][] = [
  ["an image", answer(200), { outcome: "sound", failed: false, pauseMs: 0 }],
  ["a rejected prompt", answer(451), { outcome: "sound", failed: false, pauseMs: 0 }],
  ["an unknown job", answer(404), { outcome: "sound", failed: false, pauseMs: 0 }],
  ["a timeout of a job", answer(200, '{"task_status": "TIMEOUT"}'), {
    outcome: "sound",
    failed: true,
    pauseMs: 0,
  }],
  ["a server error", answer(502), { outcome: "down", failed: true, pauseMs: 0 }],
  ["an unreachable server", { kind: "unreachable", reason: "x" }, {
    outcome: "down",
    failed: true,
    pauseMs: 0,
  }],
  ["no answer", { kind: "slow" }, { outcome: "down", failed: true, pauseMs: 0 }],
  ["status 429", answer(429), { outcome: "throttled", failed: false, pauseMs: 0 }],
  ["status 429 with Retry-After", answer(429, "", { "retry-after": "7" }), {
    outcome: "throttled",
    failed: false,
    pauseMs: 7_000,
  }],
];
for (const [what, result, expected] of calls) {
  Deno.test(`judgeCall() rates ${what} as ${expected.outcome}`, () =>
    assert.deepEqual(judgeCall(result), expected));
}

const countsOf = (part: Partial<HealthCounts>): HealthCounts => ({ ...noCounts, ...part });
const limits = { slots: 40, slotsMin: 10, slotsMax: 50, step: 5 };
const known: Cap = { ...uncapped, usualMs: 800 };
const caps: [string, Cap, Partial<HealthCounts>, number][] = [
  ["429 halves the slots", uncapped, { calls: 9, throttled: 1 }, 20],
  ["429 may go below the minimum", { ...uncapped, slots: 3 }, { calls: 9, throttled: 1 }, 1],
  ["failures halve the slots", uncapped, { calls: 10, failures: 6 }, 20],
  ["failures keep the minimum", { ...uncapped, slots: 12 }, { calls: 10, failures: 6 }, 10],
  ["two failures are ignored", uncapped, { calls: 2, failures: 2 }, Infinity],
  ["a minority of failures is ignored", uncapped, { calls: 10, failures: 5 }, Infinity],
  ["slow jobs remove a fifth", known, { calls: 9, creates: 2, createMs: 6_000 }, 32],
  ["the usual duration is not slow", { ...known, usualMs: 2_500 }, {
    calls: 9,
    creates: 2,
    createMs: 6_000,
  }, Infinity],
  ["a healthy API gets one more step", { ...uncapped, slots: 20 }, { calls: 9 }, 25],
  ["the last step removes the cap", { ...uncapped, slots: 47 }, { calls: 9 }, Infinity],
  ["no calls change nothing", { ...uncapped, slots: 20 }, {}, 20],
];
for (const [what, before, part, slots] of caps) {
  Deno.test(`adjustCap(): ${what}`, () => {
    assert.equal(adjustCap(before, countsOf(part), limits, 60_000).cap.slots, slots);
  });
}

Deno.test("adjustCap() reduces at most every ten seconds and adds at most every five", () => {
  let cap: Cap = uncapped;
  const at = (second: number, part: Partial<HealthCounts>) => {
    cap = adjustCap(cap, countsOf(part), limits, second * 1000).cap;
    return cap.slots;
  };
  const bad = { calls: 9, throttled: 1 };
  assert.deepEqual([at(0, bad), at(1, bad), at(9, bad), at(10, bad)], [20, 20, 20, 10]);
  const well = { calls: 9 };
  assert.deepEqual([at(12, well), at(14, well), at(15, well), at(16, well), at(20, well)], [
    10,
    10,
    15,
    15,
    20,
  ]);
});

Deno.test("subtractCounts() takes the counts of a restarted worker from its start", () => {
  assert.deepEqual(subtractCounts(countsOf({ calls: 5 }), countsOf({ calls: 3 })).calls, 2);
  assert.deepEqual(subtractCounts(countsOf({ calls: 5 })).calls, 5);
});

Deno.test("the circuit opens after consecutive failures, lets one attempt through later, and closes after a sound answer", () => {
  let now = 0;
  const circuitChanges: boolean[] = [];
  const health = new BackendHealth((open) => circuitChanges.push(open), () => now);
  for (let i = 0; i < 7; i++) health.note("down");
  health.note("sound");
  for (let i = 0; i < 7; i++) health.note("down");
  assert.equal(health.attemptsMax, Infinity);
  health.note("down");
  assert.equal(health.attemptsMax, 0);
  now = 1_200;
  assert.equal(health.attemptsMax, 1);
  health.note("down");
  now += 1_700;
  assert.equal(health.attemptsMax, 0);
  now += 1_000;
  assert.equal(health.attemptsMax, 1);
  health.note("sound");
  assert.equal(health.attemptsMax, Infinity);
  assert.deepEqual(circuitChanges, [true, false]);
});

Deno.test("Retry-After delays new attempts, by at most a minute", () => {
  let now = 0;
  const health = new BackendHealth(() => {}, () => now);
  health.note("throttled", 7_000);
  now = 6_999;
  assert.equal(health.attemptsMax, 0);
  now = 7_001;
  assert.equal(health.attemptsMax, Infinity);
  health.note("throttled", 3_600_000);
  now += 60_001;
  assert.equal(health.attemptsMax, Infinity);
});

Deno.test("an unreachable lumina does not affect standard and keeps its cells pending", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  await using rig = await startRig({ env: { LUMINA_API_URL: `http://127.0.0.1:${port}` } });
  const task = await rig.submit(Array.from({ length: 60 }, (_, i) => `p${i}`));
  await rig.sql`update subtasks set queue = 'lumina' where parent_task_id = ${task}`;
  await rig.startWorker({ slots: 8, random: () => 0 });
  await waitFor("eight calls to fail", async () => {
    const [row] = await rig
      .sql`select sum((health -> 'lumina' ->> 'failures')::int)::int as calls from workers`;
    return row!.calls >= 8;
  });
  const standard = await rig.submit(["a", "b", "c", "d"]);
  await waitForEnd(rig.sql, standard);
  const states = async () => (await readSubtasks(rig.sql, task)).filter(({ status }) => status === "pending");
  assert.ok((await states()).length > 20, `${(await states()).length} are pending`);
});
