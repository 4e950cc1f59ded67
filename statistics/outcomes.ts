/** Outcomes of cells by level: refusals, timeouts and other failures. */
import { estimateProportion, type Proportion } from "./proportions.ts";

/** Final states of cells; the numbers are those of the packed dataset. */
const ends = { image: 1, refused: 2, timed_out: 3, failed: 4 } as const;
export type Failure = "refused" | "timed_out" | "failed";
export const failures: readonly Failure[] = ["refused", "timed_out", "failed"];

export interface LevelOutcome {
  /** Cells in a final state, without cancelled ones. */
  ended: number;
  refused: Proportion;
  timed_out: Proportion;
  failed: Proportion;
  /** Attempts without an image, including those that a later attempt followed. */
  attempts: Record<Failure, number>;
}

/**
 * Counts the final states of cells and the failed attempts by level.
 *
 * @param level level of each cell; −1 for none
 * @param attempts cell and outcome of each attempt without an image
 * @param included 1 for each cell of the analysed subset
 */
export function countOutcomes(
  states: Uint8Array,
  { level, levels }: { level: Int32Array; levels: number },
  attempts: readonly { cell: number; end: number }[],
  included: Uint8Array,
): LevelOutcome[] {
  const counts = Array.from({ length: levels }, () => new Uint32Array(8));
  const tries = Array.from({ length: levels }, () => new Uint32Array(8));
  for (let cell = 0; cell < states.length; cell++) {
    if (included[cell] === 1 && level[cell]! >= 0) counts[level[cell]!]![states[cell]! & 7]!++;
  }
  for (const { cell, end } of attempts) {
    if (included[cell] === 1 && level[cell]! >= 0) tries[level[cell]!]![end]!++;
  }
  return counts.map((count, a) => {
    const ended = Object.values(ends).reduce((sum, end) => sum + count[end]!, 0);
    const rate = (end: Failure) => estimateProportion(count[ends[end]]!, ended);
    const tried = (end: Failure) => tries[a]![ends[end]]!;
    return {
      ended,
      refused: rate("refused"),
      timed_out: rate("timed_out"),
      failed: rate("failed"),
      attempts: { refused: tried("refused"), timed_out: tried("timed_out"), failed: tried("failed") },
    };
  });
}
