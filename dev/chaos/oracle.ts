/** Judges a run by its facts alone: each rule names what it found against the queue's promises. */
import type { Facts } from "./facts.ts";
import * as rows from "./rules_rows.ts";
import * as pay from "./rules_pay.ts";
import * as pace from "./rules_pace.ts";

export interface Violation {
  rule: string;
  what: string;
}

type Rule = (facts: Facts) => string[];

const rules: Record<string, Rule> = {
  "everything comes to rest": rows.checkRest,
  "every cell has one end": rows.checkCells,
  "counters equal the rows": rows.checkCounters,
  "an end is final": rows.checkFinality,
  "a lease goes from one holder to the next": rows.checkLeases,
  "a task is told of once a kind": rows.checkNotices,
  "a failure has a cause": rows.checkFailures,
  "one POST an attempt": pay.checkAttempts,
  "a saved job is polled on, not paid again": pay.checkSavedJobs,
  "possible doubles are counted": pay.checkDoubles,
  "an image belongs to its cell": pay.checkImages,
  "limits hold": pace.checkLimits,
  "nothing starts after a cancel": pace.checkCancels,
  "work goes on": pace.checkStalls,
  "workers end only when told": pace.checkWorkers,
};

export const ruleNames = Object.keys(rules);

/** All that is wrong, by rule; a rule says at most five things. */
export function judge(facts: Facts): Violation[] {
  return Object.entries(rules).flatMap(([rule, check]) =>
    check(facts).slice(0, 5).map((what) => ({ rule, what }))
  );
}
