/** Two tasks side by side: which axes, values and settings they share, and the difference on the units of both. */
import type { Axis, Places } from "./axes.ts";
import { starsMax } from "./krippendorff.ts";
import { meanOf } from "./paired.ts";
import { combine, countStars, type Layout, meansOf, type Ratings, scoreUnits } from "./units.ts";

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
      name,
      type,
      in: side,
      only_a: [],
      only_b: [],
      [`only_${side}`]: levels.map(({ label }) => label),
    }));
  const both = pairs.map(([i, j]): AxisDifference => ({
    name: a[i]!.name,
    type: a[i]!.type,
    in: "both",
    only_a: lacking(a[i]!, b[j]!),
    only_b: lacking(b[j]!, a[i]!),
  })).filter(({ only_a, only_b }) => only_a.length + only_b.length > 0);
  return [
    ...both,
    ...alone(a, "a", pairs.map(([i]) => i)),
    ...alone(b, "b", pairs.map(([, j]) => j)),
  ];
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

/** Levels of an axis of both tasks, cells of A before those of B, by numbers that equal values share. */
function join(a: Side, b: Side, [i, j]: Pair): Int32Array {
  const known = new Map<string, number>();
  const numbers = (axis: Axis) =>
    axis.levels.map(({ identity }) => {
      const number = known.get(identity) ?? known.size;
      known.set(identity, number);
      return number;
    });
  const joined = new Int32Array(a.places.cells + b.places.cells);
  const fill = ({ axes, places: { cells, levels } }: Side, place: number, from: number) => {
    const numberOf = numbers(axes[place]!);
    for (let cell = 0; cell < cells; cell++) {
      const level = levels[place]![cell]!;
      joined[from + cell] = level < 0 ? -1 : numberOf[level]!;
    }
  };
  fill(a, i, 0);
  fill(b, j, a.places.cells);
  return joined;
}

/** Both tasks as one matrix whose asked axis is the task: level 0 is A, 1 is B. */
function layBoth(a: Side, b: Side, columns: readonly Int32Array[]) {
  const cells = a.places.cells + b.places.cells;
  const { of: unit, count: units } = combine(columns, cells);
  const level = new Int32Array(cells).fill(1);
  level.fill(0, 0, a.places.cells);
  const counts = new Uint16Array(cells * starsMax);
  counts.set(countStars(a.ratings, a.places.cells));
  counts.set(countStars(b.ratings, b.places.cells), a.places.cells * starsMax);
  const layout: Layout = { level, levels: 2, unit, units, basis: "content", unitAxes: [] };
  return { unit, units, scores: scoreUnits(layout, counts, new Uint8Array(cells).fill(1)) };
}

/**
 * Differences on the combinations of values that both tasks have rated, gathered to content units. Axes that repeat, and
 * those of one task alone, are averaged over. Without content every combination is a unit.
 */
export function shareUnits(a: Side, b: Side, pairs: readonly Pair[]): Shared {
  const held = pairs.filter(([i]) => a.axes[i]!.role !== "replicate");
  const columns = held.map((pair) => join(a, b, pair));
  const content = columns.filter((_, k) => a.axes[held[k]![0]]!.role === "content");
  const { unit: combination, units: count, scores } = layBoth(a, b, columns);
  const { of: unitOfCell } = combine(content.length > 0 ? content : columns, combination.length);
  const unitOf = new Int32Array(count);
  combination.forEach((number, cell) => {
    if (number >= 0) unitOf[number] = unitOfCell[cell]!;
  });
  const means = meansOf(scores);
  const ofA = new Float64Array(count).fill(NaN);
  const rated = [new Set<number>(), new Set<number>()] as const;
  const units = new Map<number, { a: number[]; b: number[] }>();
  for (let entry = 0; entry < means.length; entry++) {
    const number = scores.unit[entry]!;
    const isA = scores.level[entry] === 0;
    const unit = unitOf[number]!;
    rated[isA ? 0 : 1].add(unit);
    if (isA) ofA[number] = means[entry]!;
    else if (!Number.isNaN(ofA[number]!)) {
      const both = units.get(unit) ?? { a: [], b: [] };
      if (both.a.length === 0) units.set(unit, both);
      both.a.push(ofA[number]!);
      both.b.push(means[entry]!);
    }
  }
  const shared = [...units.values()].map((both) => ({ a: meanOf(both.a), b: meanOf(both.b) }));
  const alone = (side: Set<number>) => [...side].filter((unit) => !units.has(unit)).length;
  return {
    differences: shared.map((mean) => mean.b - mean.a),
    a: meanOf(shared.map((mean) => mean.a)),
    b: meanOf(shared.map((mean) => mean.b)),
    onlyA: alone(rated[0]),
    onlyB: alone(rated[1]),
    combinations: [...units.values()].reduce((sum, both) => sum + both.a.length, 0),
  };
}
