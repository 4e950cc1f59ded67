/** `deno task chaos live`: follows a MongoDB under generated faults and compares both sides in full afterwards. */
import { counted } from "../../../phrases.ts";
import type { SeededRig } from "../seeded.ts";
import { type LiveMutation, liveMutations } from "./mutations.ts";
import { generateLivePlan, type LiveFault, liveFaults, type LivePlan } from "./plan.ts";
import { runLivePlan } from "./run.ts";
import { LanePostgres } from "./world.ts";

export const liveRig: SeededRig<LivePlan, LiveFault, LiveMutation, LanePostgres> = {
  name: "chaos live",
  description: "Follows a MongoDB under injected faults and compares both sides.",
  faults: liveFaults,
  mutations: liveMutations,
  openLane: () => LanePostgres.start(),
  generatePlan(seed, faults, guard) {
    const plan = generateLivePlan(seed, faults);
    return Object.assign(plan, guard?.needsWayBack ? { hasWayBack: true } : {});
  },
  run: runLivePlan,
  describe({ plan, writes }) {
    const shape = [
      plan.members === 3 ? "set of three" : "set of one",
      plan.hasOldBackend ? "old backend" : "",
      plan.hasWayBack ? `way back (${plan.backFaults.join(" ") || "no faults"})` : "",
      counted(writes, "write"),
      plan.faults.map(({ kind, atMs }) => `${kind}@${(atMs / 1000).toFixed(1)}`).join(" ") || "no faults",
    ];
    return shape.filter((part) => part !== "").join(", ");
  },
};
