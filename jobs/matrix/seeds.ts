/** Which seed a cell gets whose tags give none. */
import { type AxisRole, seedMax, type SeedPolicy } from "../../db/queue/task_fields.ts";
import { AppError } from "../../errors.ts";
import type { Axis } from "./axes.ts";

export interface SeedRule {
  policy: SeedPolicy;
  /** Of `pinned`. */
  seed?: number;
  /** By the axis' key, `v0` to `v5`. */
  roles: Record<string, AxisRole>;
}

/** The number of a combination of these axes, row-major, and how many there are. */
function countPlaces(axes: Axis[]): { count: number; numberOf: (places: number[]) => number } {
  return {
    count: axes.reduce((product, { values }) => product * values.length, 1),
    numberOf: (places) =>
      axes.reduce((number, { slot, values }) => number * values.length + places[slot]!, 0),
  };
}

/**
 * Gives a function from a cell's places and its repeat to its seed.
 *
 * @param draw gives 1 to `seedMax`
 * @throws AppError invalid_request where a pinned seed and the replicates lead past `seedMax`
 */
export function planSeeds(
  { policy, seed, roles }: SeedRule,
  { axes, repeats, draw }: { axes: Axis[]; repeats: number; draw: () => number },
): (places: number[], repeat: number) => number {
  if (policy === "per_cell") return draw;
  const ofRole = (role: AxisRole) => countPlaces(axes.filter(({ slot }) => roles[`v${slot}`] === role));
  const replicates = ofRole("replicate");
  const content = ofRole("content");
  const highest = seedMax - (replicates.count * repeats - 1);
  if (seed !== undefined && seed > highest) {
    throw new AppError(
      "invalid_request",
      `expanding the task: seed '${seed}' and its replicates pass ${seedMax}`,
      {
        fields: [{ field: "seed", value: String(seed), wanted: `at most ${highest}` }],
      },
    );
  }
  const bases: number[] = [];
  const numberOf = policy === "per_combination" ? content.numberOf : () => 0;
  return (places, repeat) => {
    const base = bases[numberOf(places)] ??= seed ?? Math.min(draw(), highest);
    return base + replicates.numberOf(places) * repeats + repeat;
  };
}
