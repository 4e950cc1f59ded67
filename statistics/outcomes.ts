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

/** An attempt without an image. */
export interface FailedAttempt {
  cell: number;
  /** Its end, a number of the packed dataset. */
  end: number;
}

/**
 * Counts the final states of cells and the failed attempts by level.
 *
 * @param level level of each cell; −1 for none
 * @param attempts attempts of the analysed cells
 * @param cells numbers of the analysed cells
 */
export function countOutcomes(
  states: Uint8Array,
  { level, levels }: { level: Int32Array; levels: number },
  attempts: readonly FailedAttempt[],
  cells: Int32Array,
): LevelOutcome[] {
  const counts = Array.from({ length: levels }, () => new Uint32Array(8));
  const tries = Array.from({ length: levels }, () => new Uint32Array(8));
  for (const cell of cells) {
    if (level[cell]! >= 0) counts[level[cell]!]![states[cell]! & 7]!++;
  }
  for (const { cell, end } of attempts) {
    if (level[cell]! >= 0) tries[level[cell]!]![end]!++;
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
