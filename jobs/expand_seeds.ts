/** Which seed a cell gets whose tags give none. */
import { AppError } from "../errors.ts";
import type { Axis } from "./expand_axes.ts";

/**
 * `shared`: one for the task; `per_combination`: one for each combination of the content axes, which treatments share;
 * `pinned`: the one that is given. To each of these the number of the replicate is added. `per_cell`: each its own.
 */
export const seedPolicies = ["shared", "per_combination", "per_cell", "pinned"] as const;
export type SeedPolicy = (typeof seedPolicies)[number];

/** What an axis is for; one without a role counts as a treatment. */
export const axisRoles = ["treatment", "content", "replicate"] as const;
export type AxisRole = (typeof axisRoles)[number];

export interface SeedRule {
  policy: SeedPolicy;
  /** Of `pinned`. */
  seed?: number;
  /** By the axis' key, `v0` to `v5`. */
  roles: Record<string, AxisRole>;
}

/** What the image API takes at most. */
export const seedMax = 2_147_483_647;

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
        fields: [{ field: "body.seed", value: String(seed), wanted: `at most ${highest}` }],
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
