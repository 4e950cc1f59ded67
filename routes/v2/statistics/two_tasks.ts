/** Two tasks side by side: which axes, values and settings they share, and the difference on the units of both. */
import type { Axis, Places } from "./axes.ts";
import { meanOf } from "./paired.ts";
import { countStars, meansOf, type Ratings, scoreUnits } from "./units.ts";

export interface Side {
  axes: readonly Axis[];
  places: Places;
  ratings: Ratings;
}

/** Places of an axis in each task. */
export type Pair = [number, number];

/**
 * Axes of one type in both tasks, then of one name: a type that several axes have is told apart by names.
 *
 * @example
 * ```ts
 * import { readAxes } from "./axes.ts";
 * import { pairAxes } from "./two_tasks.ts";
 * const axesOf = (name: string) => readAxes({
 *   variables: { v0: { name, values: ["x", "y"] } },
 *   ...{ tags: [], types: { v0: "element" }, axis_roles: null },
 * });
 * if (pairAxes(axesOf("style"), axesOf("look")).join() !== "0,0") throw new Error();
 * ```
 */
export function pairAxes(a: readonly Axis[], b: readonly Axis[]): Pair[] {
  const ofType = (axes: readonly Axis[], type: string) => axes.filter((axis) => axis.type === type).length;
  const taken = new Set<number>();
  return a.flatMap((axis, i): Pair[] => {
    const alone = axis.type !== "" && ofType(a, axis.type) === 1 && ofType(b, axis.type) === 1;
    const j = b.findIndex((other, place) =>
      !taken.has(place) && other.type === axis.type && (alone || other.name === axis.name)
    );
    if (j < 0) return [];
    taken.add(j);
    return [[i, j]];
  });
}

export interface AxisDifference {
  name: string;
  type: string;
  in: "both" | "a" | "b";
  /** Labels of values that one task alone has. */
  only_a: string[];
  only_b: string[];
}

/** Axes that one task alone has, or of which it has other values. */
export function differAxes(a: readonly Axis[], b: readonly Axis[], pairs: readonly Pair[]): AxisDifference[] {
  const lacking = (one: Axis, other: Axis) => {
    const known = new Set(other.levels.map(({ identity }) => identity));
    return one.levels.filter(({ identity }) => !known.has(identity)).map(({ label }) => label);
  };
  const alone = (axes: readonly Axis[], side: "a" | "b", paired: number[]): AxisDifference[] =>
    axes.filter((_, i) => !paired.includes(i)).map(({ name, type, levels }) => ({
      ...{ name, type, in: side, only_a: [], only_b: [] },
      [`only_${side}`]: levels.map(({ label }) => label),
    }));
  const both = pairs.map(([i, j]): AxisDifference => ({
    ...{ name: a[i]!.name, type: a[i]!.type, in: "both" },
    only_a: lacking(a[i]!, b[j]!),
    only_b: lacking(b[j]!, a[i]!),
  })).filter(({ only_a, only_b }) => only_a.length + only_b.length > 0);
  return [
    ...both,
    ...alone(a, "a", pairs.map(([i]) => i)),
    ...alone(b, "b", pairs.map(([, j]) => j)),
  ];
}

const separator = "\u0001";

/** Means of the rated combinations of a task's values on `axes`, named by their values. */
function meanByValues({ axes, places: { levels, cells }, ratings }: Side, on: number[]): Map<string, number> {
  const names: string[] = [];
  const known = new Map<string, number>();
  const unit = Int32Array.from({ length: cells }, (_, cell) => {
    const parts: string[] = [];
    for (const i of on) {
      const level = levels[i]![cell]!;
      if (level < 0) return -1;
      parts.push(axes[i]!.levels[level]!.identity);
    }
    const name = parts.join(separator);
    let number = known.get(name);
    if (number === undefined) {
      known.set(name, number = names.length);
      names.push(name);
    }
    return number;
  });
  const layout = { level: new Int32Array(cells), levels: 1, unit, units: names.length };
  const counts = countStars(ratings, cells);
  const scores = scoreUnits(
    { ...layout, basis: "content", unitAxes: on },
    counts,
    new Uint8Array(cells).fill(1),
  );
  const means = meansOf(scores);
  return new Map(Array.from(scores.unit, (number, i) => [names[number]!, means[i]!]));
}

export interface Shared {
  /** B − A of each shared unit: the mean over the combinations in it that both tasks have. */
  differences: number[];
  /** Means over shared units. */
  a: number;
  b: number;
  /** Rated units of each task that the other lacks. */
  onlyA: number;
  onlyB: number;
  /** Combinations of values that both tasks have. */
  combinations: number;
}

/**
 * Differences on the combinations of values that both tasks have rated, gathered to content units. Axes that repeat, and
 * those of one task alone, are averaged over. Without content every combination is a unit.
 */
export function shareUnits(a: Side, b: Side, pairs: readonly Pair[]): Shared {
  const held = pairs.filter(([i]) => a.axes[i]!.role !== "replicate");
  const content = held.filter(([i]) => a.axes[i]!.role === "content");
  // Content first, so that a combination's name begins with its unit's.
  const order = [...content, ...held.filter((pair) => !content.includes(pair))];
  const of = [
    meanByValues(a, order.map(([i]) => i)),
    meanByValues(b, order.map(([, j]) => j)),
  ] as const;
  const unitOf = (name: string) =>
    content.length === 0 ? name : name.split(separator).slice(0, content.length).join(separator);
  const units = new Map<string, { a: number[]; b: number[] }>();
  for (const [name, mean] of of[0]) {
    const other = of[1].get(name);
    if (other === undefined) continue;
    const unit = units.get(unitOf(name)) ?? { a: [], b: [] };
    units.set(unitOf(name), unit);
    unit.a.push(mean);
    unit.b.push(other);
  }
  const means = [...units.values()].map((unit) => ({ a: meanOf(unit.a), b: meanOf(unit.b) }));
  const lacking = (one: Map<string, number>) =>
    new Set([...one.keys()].map(unitOf).filter((unit) => !units.has(unit))).size;
  return {
    differences: means.map((mean) => mean.b - mean.a),
    a: meanOf(means.map((mean) => mean.a)),
    b: meanOf(means.map((mean) => mean.b)),
    onlyA: lacking(of[0]),
    onlyB: lacking(of[1]),
    combinations: [...units.values()].reduce((sum, unit) => sum + unit.a.length, 0),
  };
}
