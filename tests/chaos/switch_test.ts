/** The rig that switches between both systems under faults (docs/chaos.md): short runs without violations, and its plans. */
import assert from "node:assert/strict";
import { copyProject } from "../../dev/chaos/mutations.ts";
import { switchMutations } from "../../dev/chaos/switch/mutations.ts";
import {
  generateSwitchPlan,
  places,
  type PlannedPlace,
  type SwitchFault,
  switchFaultNames,
  switchFaults,
} from "../../dev/chaos/switch/plan.ts";
import { runSwitchPlan } from "../../dev/chaos/switch/run.ts";
import { openSwitchLane } from "../../dev/chaos/switch/world.ts";
import { mongod } from "../migrate/support/sources.ts";

const project = new URL("../../", import.meta.url);

const runs: { seed: number; faults: SwitchFault[]; place?: PlannedPlace }[] = [
  { seed: 2, faults: ["kill_api", "cut_api_old", "slow_old"] },
  {
    seed: 3,
    faults: [],
    place: { process: "cutover", point: "freeze.done", signal: "SIGKILL", ms: 0, stage: "cutover" },
  },
  {
    seed: 4,
    faults: [],
    place: { process: "rollback", point: "return.begun", signal: "SIGKILL", ms: 0, stage: "rollback" },
  },
];

Deno.test({
  name: "under faults, switches to and fro lose no acknowledged write, and one system is in charge",
  ignore: !mongod,
  fn: async (t) => {
    await using lane = await openSwitchLane();
    for (const { seed, faults, place } of runs) {
      await t.step(`seed ${seed}: ${place?.point ?? faults.join(", ")}`, async () => {
        const plan = Object.assign(generateSwitchPlan(seed, faults), { place, switches: 2 });
        const { violations, lines } = await runSwitchPlan(project, plan, lane);
        assert.deepEqual(violations, [], lines.join("\n"));
      });
    }
  },
});

Deno.test("generateSwitchPlan() draws every fault and every place, the same ones for the same seed", () => {
  assert.deepEqual(generateSwitchPlan(7), generateSwitchPlan(7));
  const drawn = new Set<SwitchFault>();
  const points = new Set<string>();
  for (let seed = 0; seed < 5000; seed++) {
    const { faults, place } = generateSwitchPlan(seed);
    for (const { kind } of faults) drawn.add(kind);
    if (place) points.add(place.point);
  }
  assert.deepEqual([...drawn].sort(), [...switchFaultNames].sort());
  const all = new Set(Object.values(places).flat());
  assert.deepEqual([...points].sort(), [...all].sort());
  assert.ok(all.size >= 40, `${all.size} places`);
});

Deno.test("every guard of the switch can be removed from the present source", async () => {
  for (const mutation of Object.values(switchMutations)) {
    await using _copy = await copyProject(project, Object.assign({}, mutation, { faults: [] }));
  }
});

Deno.test("docs/chaos.md lists every fault, place and guard of the switch rig", async () => {
  const page = await Deno.readTextFile(new URL("docs/chaos.md", project));
  const names = [
    ...Object.keys(switchFaults),
    ...Object.keys(switchMutations),
    ...Object.values(places).flat(),
  ];
  for (const name of names) assert.ok(page.includes(`\`${name}\``), name);
});
