/** The safe order of the phases: which change an operator may make, and what a forced one may lose. */
import type { Phase, Traffic } from "./traffic.ts";

/** A change that somebody wants; what is absent stays. */
export interface WantedChange {
  phase?: Phase | undefined;
  share?: number | undefined;
}

/** The answer to a wanted change. */
export type PhaseCheck =
  | {
    result: "allowed";
    phase: Phase;
    share: number;
    /** What the change may lose, if it is allowed only because it is forced; otherwise null. */
    mayLose: string | null;
  }
  | { result: "unchanged" }
  /** `canForce`: the change is possible with `force`, and may lose what `reason` says. */
  | { result: "refused"; reason: string; canForce: boolean };

const refuse = (reason: string): PhaseCheck => ({ result: "refused", reason, canForce: false });

/** The share has an effect in `canary` only, so it begins at 0 again. */
function shareAfter({ share }: Pick<Traffic, "share">, phase: Phase, wanted: number | undefined): number {
  return phase === "canary" ? wanted ?? share : 0;
}

/** Why a change is out of order, and what it may lose. */
interface Danger {
  reason: string;
  mayLose: string;
}

function findDanger(now: Phase, next: Phase): Danger | undefined {
  if (now === "holding") {
    return {
      reason:
        "a switch holds the writes: wait for its end, or end it with 'deno task migrate data cutover --abort'",
      mayLose:
        "a switch is under way: writes may be answered by both systems, and the later one of two may be lost",
    };
  }
  if (next === "new") {
    return {
      reason:
        "only a cut-over makes this system answer writes: 'deno task migrate data cutover' first applies every " +
        "write of the old backend",
      mayLose:
        "writes of the old backend that are not applied here yet are missing, and those that it still answers " +
        "are lost",
    };
  }
  if (now === "new") {
    return {
      reason:
        "only a rollback makes the old backend answer writes again: 'deno task migrate data rollback' first " +
        "writes every change of this system to MongoDB",
      mayLose: "changes made in this system that are not in MongoDB yet are missing in the old backend",
    };
  }
  if (now === "old" && next === "canary") {
    return {
      reason: "phase 'shadow' comes first: it compares this system's answers before users get them",
      mayLose: "nothing is lost; a share of the users gets answers that were never compared",
    };
  }
}

/**
 * Checks a change of the phase or the share against the safe order: `old` ↔ `shadow` ↔ `canary`, and back by any
 * number of steps; `new` only by a cut-over, away from it only by a rollback. `holding` is set by these two.
 *
 * @example
 * ```ts
 * import { checkPhaseChange } from "./order.ts";
 * const traffic = { phase: "old", share: 0 } as const;
 * const check = checkPhaseChange(traffic, { phase: "new" }, { force: false });
 * if (check.result !== "refused") throw new Error(check.result);
 * ```
 */
export function checkPhaseChange(
  traffic: Pick<Traffic, "phase" | "share">,
  wanted: WantedChange,
  { force }: { force: boolean },
): PhaseCheck {
  const { share: wantedShare } = wanted;
  const phase = wanted.phase ?? traffic.phase;
  if (
    wantedShare !== undefined && !(Number.isInteger(wantedShare) && wantedShare >= 0 && wantedShare <= 100)
  ) {
    return refuse(`a share of ${wantedShare}: wanted a whole number from 0 to 100`);
  }
  if (phase === "holding") {
    return refuse(
      traffic.phase === "holding"
        ? "a switch holds the writes: the share can be changed after its end"
        : "only a cut-over or a rollback holds writes, since it must renew the hold",
    );
  }
  if (wantedShare !== undefined && wantedShare !== 0 && phase !== "canary") {
    return refuse(
      `a share of ${wantedShare} has an effect in phase 'canary' only; the phase would be '${phase}'`,
    );
  }
  const share = shareAfter(traffic, phase, wantedShare);
  if (phase === traffic.phase) {
    const isSame = share === traffic.share || phase !== "canary";
    return isSame ? { result: "unchanged" } : { result: "allowed", phase, share, mayLose: null };
  }
  const danger = findDanger(traffic.phase, phase);
  if (danger && !force) {
    return {
      result: "refused",
      reason: `'${traffic.phase}' to '${phase}': ${danger.reason}`,
      canForce: true,
    };
  }
  return { result: "allowed", phase, share, mayLose: danger?.mayLose ?? null };
}
