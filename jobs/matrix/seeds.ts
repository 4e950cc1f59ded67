/** Seeds of cells whose tags give none. */
import { type AxisRole, seedMax, type SeedPolicy } from "../../db/queue/task_fields.ts";
import { AppError } from "../../errors.ts";
import type { Axis } from "./axes.ts";

export interface SeedRule {
  policy: SeedPolicy;
  /** The seed of the policy `pinned`. */
  seed?: number;
  /** Roles by axis, `v0` to `v5`. */
  roles: Record<string, AxisRole>;
}

/** Returns the number of combinations of axes, and a function to the row-major index of a combination. */
function indexCombinations(axes: Axis[]): { count: number; indexOf: (levels: number[]) => number } {
  return {
    count: axes.reduce((product, { values }) => product * values.length, 1),
    indexOf: (levels) => axes.reduce((index, { slot, values }) => index * values.length + levels[slot]!, 0),
  };
}

/**
 * Returns a function from the levels of a cell and its repeat to its seed.
 *
 * @param options.draw returns a random seed from 1 to `seedMax`
 * @throws AppError invalid_request if a pinned seed plus the replicates exceeds `seedMax`
 */
export function planSeeds(
  { policy, seed, roles }: SeedRule,
  { axes, repeats, draw }: { axes: Axis[]; repeats: number; draw: () => number },
): (levels: number[], repeat: number) => number {
  if (policy === "per_cell") return draw;
  const ofRole = (role: AxisRole) => indexCombinations(axes.filter(({ slot }) => roles[`v${slot}`] === role));
  const replicates = ofRole("replicate");
  const content = ofRole("content");
  const highest = seedMax - (replicates.count * repeats - 1);
  if (seed !== undefined && seed > highest) {
    throw new AppError(
      "invalid_request",
      `expanding the task: seed '${seed}' and its replicates pass ${seedMax}`,
      { fields: [{ field: "seed", value: seed, wanted: `at most ${highest}` }] },
    );
  }
  const bases: number[] = [];
  const baseIndexOf = policy === "per_combination" ? content.indexOf : () => 0;
  return (levels, repeat) => {
    const base = bases[baseIndexOf(levels)] ??= seed ?? Math.min(draw(), highest);
    return base + replicates.indexOf(levels) * repeats + repeat;
  };
}
