/** What became of cells by level: refusals and timeouts are data too. */
import { type Rate, rateOf } from "./rates.ts";

/** Ends of cells that have none left to wait for; the numbers are those of the packed sheet. */
const ends = { image: 1, refused: 2, timed_out: 3, failed: 4 } as const;
export type Failure = "refused" | "timed_out" | "failed";
export const failures: readonly Failure[] = ["refused", "timed_out", "failed"];

export interface LevelOutcome {
  /** Cells that have come to an end, cancelled ones left out. */
  ended: number;
  refused: Rate;
  timed_out: Rate;
  failed: Rate;
  /** Attempts that ended without an image, also those that others followed. */
  attempts: Record<Failure, number>;
}

/**
 * Counts the ends of cells, and of attempts, by level.
 *
 * @param level of each cell; −1 for none
 * @param attempts place and end of each attempt that brought no image
 * @param chosen 1 for each cell that counts
 */
export function countOutcomes(
  states: Uint8Array,
  { level, levels }: { level: Int32Array; levels: number },
  attempts: readonly { cell: number; end: number }[],
  chosen: Uint8Array,
): LevelOutcome[] {
  const counts = Array.from({ length: levels }, () => new Uint32Array(8));
  const tries = Array.from({ length: levels }, () => new Uint32Array(8));
  for (let cell = 0; cell < states.length; cell++) {
    if (chosen[cell] === 1 && level[cell]! >= 0) counts[level[cell]!]![states[cell]! & 7]!++;
  }
  for (const { cell, end } of attempts) {
    if (chosen[cell] === 1 && level[cell]! >= 0) tries[level[cell]!]![end]!++;
  }
  return counts.map((count, a) => {
    const ended = Object.values(ends).reduce((sum, end) => sum + count[end]!, 0);
    const rate = (end: Failure) => rateOf(count[ends[end]]!, ended);
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
