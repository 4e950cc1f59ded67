/** The form of a check: its name, what was found, and what to do. */

export type CheckState = "ready" | "not_ready" | "accepted" | "unknown";

export interface Check {
  name: string;
  state: CheckState;
  found: string;
  /** Empty if nothing is to be done. */
  todo: string;
  /** Names with which an operator may accept it, as in `--accept NAME`; empty if nothing is to be done or may be. */
  accepts: string[];
}

/** What a check found, and what to do unless it is as wanted. */
export interface Verdict {
  isReady: boolean;
  found: string;
  todo: string;
  accepts: string[];
}

/** A named check on facts. */
export interface Rule<Facts> {
  name: string;
  /** Whether the operator may accept it with `--accept NAME`, because only a person can know. */
  canAccept?: true;
  check(facts: Facts): Verdict;
}

/** Returns a verdict. */
export const verdict = (
  isReady: boolean,
  found: string,
  todo: string,
  accepts: string[] = [],
): Verdict => ({
  isReady,
  found,
  todo: isReady ? "" : todo,
  accepts: isReady ? [] : accepts,
});

/** Checks all rules. Without facts they are unknown. */
export function applyRules<Facts>(
  rules: readonly Rule<Facts>[],
  facts: Facts | undefined,
  why: string,
  accepted: ReadonlySet<string>,
): Check[] {
  return rules.map(({ name, canAccept, check }) => {
    if (facts === undefined) {
      return { name, state: "unknown", found: why, todo: "make it reachable, then check again", accepts: [] };
    }
    const { isReady, found, todo, accepts } = check(facts);
    if (isReady) return { name, state: "ready", found, todo, accepts };
    if (!canAccept) return { name, state: "not_ready", found, todo, accepts };
    if (accepted.has(name)) return { name, state: "accepted", found, todo: "", accepts: [] };
    return { name, state: "not_ready", found, todo: `${todo}, or --accept ${name}`, accepts: [name] };
  });
}
