/** The form of a check: its name, what was found, and what to do. */

export type CheckState = "ready" | "not_ready" | "accepted" | "unknown";

export interface Check {
  name: string;
  state: CheckState;
  found: string;
  /** Empty if nothing is to be done. */
  todo: string;
}

/** What a check found, and what to do unless it is as wanted. */
export interface Verdict {
  isReady: boolean;
  found: string;
  todo: string;
}

/** A named check on facts. */
export interface Rule<Facts> {
  name: string;
  /** Whether the operator may accept it with `--accept NAME`, because only a person can know. */
  canAccept?: true;
  check(facts: Facts): Verdict;
}

/** Returns a verdict. */
export const verdict = (isReady: boolean, found: string, todo: string): Verdict => ({
  isReady,
  found,
  todo: isReady ? "" : todo,
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
      return { name, state: "unknown", found: why, todo: "make it reachable, then check again" };
    }
    const { isReady, found, todo } = check(facts);
    if (isReady) return { name, state: "ready", found, todo: "" };
    if (canAccept && accepted.has(name)) return { name, state: "accepted", found, todo: "" };
    return { name, state: "not_ready", found, todo: canAccept ? `${todo}, or --accept ${name}` : todo };
  });
}
