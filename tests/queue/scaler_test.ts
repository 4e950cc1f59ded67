/** Slots by backlog, with the old backend's defaults. */
import assert from "node:assert/strict";
import { parseConfig } from "../../config.ts";
import {
  noPressure,
  type Pressure,
  readScaleRules,
  scale,
  type ScaleRule,
} from "../../jobs/slots/scale_rules.ts";
import { startRig } from "../support/queue_rig.ts";
import { waitFor } from "../support/wait.ts";

const env = { DATABASE_URL: "postgres://h/d", IMAGE_API_URL: "http://h", NIETA_XTOKEN: "t" };

Deno.test("readScaleRules() returns the defaults of the table, overridden by settings", () => {
  const { standard, lumina } = readScaleRules(parseConfig(env, "worker"));
  assert.deepEqual(standard, {
    slotsMin: 10,
    slotsMax: 50,
    step: 5,
    upAfterMs: 60_000,
    downAfterMs: 180_000,
  });
  assert.deepEqual(lumina, {
    slotsMin: 24,
    slotsMax: 100,
    step: 1,
    upAfterMs: 90_000,
    downAfterMs: 180_000,
  });
  const own = readScaleRules(parseConfig({ ...env, TASK_EXECUTOR_SCALE_UP_STEP: "7" }, "worker"));
  assert.equal(own.standard.step, 7);
});

/** Simulates a backlog second by second. @returns `[second, slots]` for each change */
function simulate(rule: ScaleRule, first: number, backlogAt: (second: number) => number, seconds: number) {
  const changes: [number, number][] = [];
  let slots = first;
  let pressure: Pressure = noPressure;
  for (let second = 0; second <= seconds; second++) {
    const step = scale(rule, { slots, backlog: backlogAt(second) }, pressure, second * 1000);
    pressure = step.pressure;
    if (!step.change) continue;
    slots = step.change.slots;
    changes.push([second, slots]);
  }
  return changes;
}

const rule = { slotsMin: 10, slotsMax: 20, step: 5, upAfterMs: 60_000, downAfterMs: 180_000 };
const cases: [string, ScaleRule, number, (second: number) => number, [number, number][]][] = [
  ["a lasting backlog adds a step per interval, up to the maximum", rule, 10, () => 1000, [[60, 15], [
    120,
    20,
  ]]],
  ["a backlog of just twice the slots adds nothing", rule, 10, () => 20, []],
  ["an interrupted backlog restarts the interval", rule, 10, (s) => s === 30 ? 0 : 100, [
    ...[[91, 15], [151, 20]] as [number, number][],
  ]],
  ["without backlog, a step is removed per interval, down to the minimum", rule, 20, () => 0, [[180, 15], [
    360,
    10,
  ]]],
  ["slots outside the limits return into them at once", rule, 70, () => 1000, [[0, 20]]],
];
for (const [what, given, first, backlogAt, expected] of cases) {
  Deno.test(`scale(): ${what}`, () => assert.deepEqual(simulate(given, first, backlogAt, 400), expected));
}

Deno.test("a worker's slots grow with the backlog, and the change is stored with its reason", async () => {
  await using rig = await startRig({
    delayMs: 30_000,
    env: {
      TASK_EXECUTOR_MIN_CONCURRENT: "2",
      TASK_EXECUTOR_SCALE_UP_STEP: "3",
      TASK_EXECUTOR_SCALE_UP_INTERVAL: "0.5",
      TASK_EXECUTOR_MAX_CONCURRENT: "5",
    },
  });
  await rig.startWorker();
  await rig.submit(Array.from({ length: 30 }, (_, i) => `p${i}`));
  await waitFor("five running attempts", async () => {
    const [row] = await rig.sql`select count(*)::int as count from subtasks where status = 'processing'`;
    return row!.count === 5;
  });
  const [slots] = await rig.sql`select slots, reason from queue_slots where queue = 'standard'`;
  assert.equal(slots!.slots, 5);
  assert.match(slots!.reason, /^backlog \d+ with 2 slots$/);
});
