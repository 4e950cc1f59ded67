/** `deno task chaos switch`: switches between both systems under load and generated faults, and checks every write. */
import { counted } from "../../../phrases.ts";
import type { SeededRig } from "../seeded.ts";
import { type SwitchMutation, switchMutations } from "./mutations.ts";
import { generateSwitchPlan, type SwitchFault, switchFaults, type SwitchPlan } from "./plan.ts";
import { runSwitchPlan, type SwitchResult } from "./run.ts";
import { openSwitchLane, type SwitchLane } from "./world.ts";

export const switchRig: SeededRig<SwitchPlan, SwitchFault, SwitchMutation, SwitchLane> = {
  name: "chaos switch",
  description: "Switches between both systems under load and faults and checks every acknowledged write.",
  faults: switchFaults,
  mutations: switchMutations,
  openLane: openSwitchLane,
  generatePlan(seed, faults, guard) {
    const plan = generateSwitchPlan(seed, faults);
    if (!guard) return plan;
    const { stage, switches, place } = guard;
    for (const fault of plan.faults) Object.assign(fault, { stage, afterMs: Math.min(fault.afterMs, 300) });
    return Object.assign(plan, { switches, place, faults: place ? [] : plan.faults });
  },
  run: runSwitchPlan,
  describe(result) {
    const { plan, writes, switched, isPlaceReached } = result as SwitchResult;
    const { place } = plan;
    const parts = [
      `${switched} of ${counted(plan.switches, "switch", "switches")}`,
      counted(writes, "write"),
      place
        ? `${place.signal} at ${place.point} of ${place.process}${isPlaceReached ? "" : " (not reached)"}`
        : "",
      plan.faults.map(({ kind, stage, afterMs }) => `${kind}@${stage}+${afterMs}`).join(" "),
    ];
    return parts.filter((part) => part !== "").join(", ");
  },
};
