/** The rig that follows a MongoDB under faults (docs/chaos.md): short runs without violations, and its plans. */
import assert from "node:assert/strict";
import { liveMutations } from "../../dev/chaos/live/mutations.ts";
import { generateLivePlan, type LiveFault, liveFaultNames, liveFaults } from "../../dev/chaos/live/plan.ts";
import { runLivePlan } from "../../dev/chaos/live/run.ts";
import { LanePostgres } from "../../dev/chaos/live/world.ts";
import { copyProject } from "../../dev/chaos/mutations.ts";
import { mongod } from "../migrate/support/sources.ts";

const project = new URL("../../", import.meta.url);

const runs: { seed: number; faults: LiveFault[] }[] = [
  { seed: 2, faults: ["kill_sync", "restart_postgres", "terminate_sessions"] },
  { seed: 3, faults: ["lose_position", "pause_sync"] },
  { seed: 5, faults: ["step_down", "kill_mongo"] },
];

Deno.test({
  name: "under faults both sides are equal in full in the end, and every acknowledged write is there",
  ignore: !mongod,
  fn: async (t) => {
    await using postgres = await LanePostgres.start();
    for (const { seed, faults } of runs) {
      await t.step(`seed ${seed}: ${faults.join(", ")}`, async () => {
        const { violations, lines } = await runLivePlan(project, generateLivePlan(seed, faults), postgres);
        assert.deepEqual(violations, [], lines.join("\n"));
      });
    }
  },
});

Deno.test("generateLivePlan() draws every fault, the same ones for the same seed", () => {
  assert.deepEqual(generateLivePlan(7), generateLivePlan(7));
  const drawn = new Set<LiveFault>();
  for (let seed = 0; seed < 1000; seed++) {
    for (const { kind } of generateLivePlan(seed).faults) drawn.add(kind);
  }
  assert.deepEqual([...drawn].sort(), [...liveFaultNames].sort());
});

Deno.test("every guard of the live rig can be removed from the present source", async () => {
  for (const mutation of Object.values(liveMutations)) {
    await using _copy = await copyProject(project, Object.assign({}, mutation, { faults: [] }));
  }
});

Deno.test("docs/chaos.md lists every fault and guard of the live rig", async () => {
  const page = await Deno.readTextFile(new URL("docs/chaos.md", project));
  for (const name of [...Object.keys(liveFaults), ...Object.keys(liveMutations)]) {
    assert.ok(page.includes(`\`${name}\``), name);
  }
});
