/**
 * The queue's protocol as a model. Each action is one statement, one message or one call of the real workers, and each
 * guard of the real statements is a switch. A worker may pause between any two actions. docs/queue-model.md lists what the
 * model omits.
 */
import type { Model } from "./checker.ts";
import { faultActions } from "./faults.ts";
import { moveRules, stateRules } from "./rules.ts";
import type { Setting } from "./setting.ts";
import { hasEnded, keyOf, startState, type State } from "./state.ts";
import { leaderSteps, userActions, workerSteps } from "./steps.ts";

/** Returns the model of the protocol with the guards and faults of a setting. */
export function queueModel(setting: Setting): Model<State> {
  return {
    start: startState({ cells: setting.cells, retries: setting.retries, faults: setting.faultsMax }),
    key: keyOf,
    actions: [
      ...workerSteps(setting),
      ...leaderSteps(setting),
      ...userActions(setting),
      ...faultActions(setting),
    ],
    states: stateRules,
    moves: moveRules,
    goal: {
      name: "every subtask can still end",
      holds: (s) => hasEnded(s.status) && s.cells.every(({ status }) => hasEnded(status)),
    },
  };
}
