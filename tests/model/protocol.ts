/**
 * The queue's protocol as a model: each action is one statement, one message or one call of the real workers, and
 * each guard of the real statements is a switch. A worker may rest for as long as it likes between two actions:
 * that is what a pause is. What is left out: docs/queue-model.md.
 */
import type { Model } from "./checker.ts";
import { faultActions } from "./faults.ts";
import { moveRules, stateRules } from "./rules.ts";
import type { Setting } from "./setting.ts";
import { hasEnded, keyOf, startState, type State } from "./state.ts";
import { leaderSteps, wishes, workerSteps } from "./steps.ts";

/** The protocol with these guards and these faults. */
export function queueModel(setting: Setting): Model<State> {
  return {
    start: startState({ cells: setting.cells, retries: setting.retries, faults: setting.faultsMax }),
    key: keyOf,
    actions: [...workerSteps(setting), ...leaderSteps(setting), ...wishes(setting), ...faultActions(setting)],
    states: stateRules,
    moves: moveRules,
    good: {
      name: "everything can still end",
      holds: (s) => hasEnded(s.status) && s.cells.every(({ status }) => hasEnded(status)),
    },
  };
}
