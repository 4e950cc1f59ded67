/** Checks the facts of a run against the rules of the queue and lists the violations. */
import type { Facts } from "./facts.ts";
import * as rows from "./rules_rows.ts";
import * as cost from "./rules_cost.ts";
import * as time from "./rules_time.ts";

/** A broken rule. */
export interface Violation {
  rule: string;
  /** Description of the finding. */
  what: string;
}

type Rule = (facts: Facts) => string[];

const rules: Record<string, Rule> = {
  "the system becomes idle": rows.checkIdle,
  "every cell ends once": rows.checkCells,
  "task counters equal the rows": rows.checkCounters,
  "end states are final": rows.checkFinality,
  "leases are exclusive": rows.checkLeases,
  "one notice per task and kind": rows.checkNotices,
  "every failure has a cause": rows.checkFailures,
  "at most one POST per attempt": cost.checkAttempts,
  "saved remote jobs are polled, not paid again": cost.checkSavedJobs,
  "possible duplicate jobs are counted": cost.checkDoubles,
  "every image belongs to its cell": cost.checkImages,
  "concurrency limits hold": time.checkLimits,
  "nothing starts after a cancellation": time.checkCancels,
  "work progresses": time.checkStalls,
  "workers end only on request": time.checkWorkers,
};

export const ruleNames = Object.keys(rules);

/** Lists all violations, at most five per rule. */
export function findViolations(facts: Facts): Violation[] {
  return Object.entries(rules).flatMap(([rule, check]) =>
    check(facts).slice(0, 5).map((what) => ({ rule, what }))
  );
}
