/** Comparison of two tasks: shared axes and values, and the difference on shared units. */
import type { Axis, CellLevels } from "./axes.ts";
import { starsMax } from "./krippendorff.ts";
import { meanOf } from "./mean_tests.ts";
import {
  averageByUnit,
  combineColumns,
  countStars,
  type Design,
  listCells,
  meansOf,
  type Ratings,
} from "./units.ts";

/** One of the two tasks. */
export interface Side {
  axes: readonly Axis[];
  cellLevels: CellLevels;
  ratings: Ratings;
}

/** Positions of an axis in each task's list. */
export type AxisPair = [number, number];

/**
 * Matches the axes of two tasks: by type if each task has a single axis of the type, otherwise by type and
 * name.
 *
 * @example
 * ```ts
 * import { parseAxes } from "./axes.ts";
 * import { matchAxes } from "./task_comparison.ts";
 * const axesOf = (name: string) => parseAxes({
 *   variables: { v0: { name, values: ["x", "y"] } },
 *   tags: [],
 *   types: { v0: "element" },
 *   axis_roles: null,
 * });
 * if (matchAxes(axesOf("style"), axesOf("look")).join() !== "0,0") throw new Error();
 * ```
 */
export function matchAxes(a: readonly Axis[], b: readonly Axis[]): AxisPair[] {
  const countType = (axes: readonly Axis[], type: string) => axes.filter((axis) => axis.type === type).length;
  const matched = new Set<number>();
  return a.flatMap((axis, i): AxisPair[] => {
    const isUniqueType = axis.type !== "" && countType(a, axis.type) === 1 && countType(b, axis.type) === 1;
    const j = b.findIndex((other, position) =>
      !matched.has(position) && other.type === axis.type && (isUniqueType || other.name === axis.name)
    );
    if (j < 0) return [];
    matched.add(j);
    return [[i, j]];
  });
}

/** How an axis differs between the tasks. */
export interface AxisDifference {
  name: string;
  type: string;
  in: "both" | "a" | "b";
  /** Labels of values that only one task has. */
  only_a: string[];
  only_b: string[];
}

/** Lists axes that only one task has, and matched axes whose values differ. */
export function diffAxes(
  a: readonly Axis[],
  b: readonly Axis[],
  pairs: readonly AxisPair[],
): AxisDifference[] {
  const missingLabels = (one: Axis, other: Axis) => {
    const known = new Set(other.levels.map(({ identity }) => identity));
    return one.levels.filter(({ identity }) => !known.has(identity)).map(({ label }) => label);
  };
  const unmatched = (axes: readonly Axis[], side: "a" | "b", paired: number[]): AxisDifference[] =>
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
    only_a: missingLabels(a[i]!, b[j]!),
    only_b: missingLabels(b[j]!, a[i]!),
  })).filter(({ only_a, only_b }) => only_a.length + only_b.length > 0);
  return [
    ...both,
    ...unmatched(a, "a", pairs.map(([i]) => i)),
    ...unmatched(b, "b", pairs.map(([, j]) => j)),
  ];
}

/** A unit that both tasks have rated, with each task's mean over the combinations that both have. */
export interface SharedUnit {
  /** Labels of its values on the axes that make the units. */
  labels: string[];
  a: number;
  b: number;
}

/** Comparison on the shared units. */
export interface SharedUnits {
  units: SharedUnit[];
  /** Means of the tasks over the shared units. */
  a: number;
  b: number;
  /** Number of rated units that only one of the tasks has. */
  onlyA: number;
  onlyB: number;
  /** Number of combinations of values that both tasks have. */
  combinations: number;
}

/**
 * Concatenates the levels of a matched axis, cells of A first. Equal values of the two tasks get the same
 * number.
 */
function joinLevels(a: Side, b: Side, [i, j]: AxisPair): Int32Array {
  const known = new Map<string, number>();
  const numbers = (axis: Axis) =>
    axis.levels.map(({ identity }) => {
      const number = known.get(identity) ?? known.size;
      known.set(identity, number);
      return number;
    });
  const joined = new Int32Array(a.cellLevels.cells + b.cellLevels.cells);
  const fill = ({ axes, cellLevels: { cells, levels } }: Side, axis: number, from: number) => {
    const numberOf = numbers(axes[axis]!);
    for (let cell = 0; cell < cells; cell++) {
      const level = levels[axis]![cell]!;
      joined[from + cell] = level < 0 ? -1 : numberOf[level]!;
    }
  };
  fill(a, i, 0);
  fill(b, j, a.cellLevels.cells);
  return joined;
}

/** Averages both tasks as one matrix whose treatment is the task: level 0 is A, level 1 is B. */
function averageBoth(a: Side, b: Side, columns: readonly Int32Array[]) {
  const cells = a.cellLevels.cells + b.cellLevels.cells;
  const { of: unit, count: units } = combineColumns(columns, cells);
  const level = new Int32Array(cells).fill(1);
  level.fill(0, 0, a.cellLevels.cells);
  const counts = new Uint16Array(cells * starsMax);
  counts.set(countStars(a.ratings, a.cellLevels.cells));
  counts.set(countStars(b.ratings, b.cellLevels.cells), a.cellLevels.cells * starsMax);
  const design: Design = { level, levels: 2, unit, units, basis: "content", unitAxes: [] };
  return { unit, units, scores: averageByUnit(design, counts, listCells(cells)) };
}

/** Returns the labels of each unit of A, by the number that `unitOfCell` has for its cells. */
function labelUnits(
  { axes, cellLevels: { cells, levels } }: Side,
  used: readonly number[],
  unitOfCell: Int32Array,
) {
  const labels = new Map<number, string[]>();
  for (let cell = 0; cell < cells; cell++) {
    const unit = unitOfCell[cell]!;
    if (labels.has(unit)) continue;
    labels.set(unit, used.map((i) => axes[i]!.levels[levels[i]![cell]!]?.label ?? ""));
  }
  return labels;
}

/**
 * Computes the means on the combinations of values that both tasks have rated, averaged to content
 * units. Replicate axes and axes of only one task are averaged over. Without content axes every combination
 * is a unit.
 */
export function compareSharedUnits(a: Side, b: Side, pairs: readonly AxisPair[]): SharedUnits {
  const usedPairs = pairs.filter(([i]) => a.axes[i]!.role !== "replicate");
  const columns = usedPairs.map((pair) => joinLevels(a, b, pair));
  const hasRole = ([i]: AxisPair) => a.axes[i]!.role === "content";
  const isUsed = usedPairs.some(hasRole) ? hasRole : () => true;
  const { unit: combination, units: combinations, scores } = averageBoth(a, b, columns);
  const { of: unitOfCell } = combineColumns(
    columns.filter((_, k) => isUsed(usedPairs[k]!)),
    combination.length,
  );
  const unitOf = new Int32Array(combinations);
  combination.forEach((combined, cell) => {
    if (combined >= 0) unitOf[combined] = unitOfCell[cell]!;
  });
  const means = meansOf(scores);
  const meanOfA = new Float64Array(combinations).fill(NaN);
  const ratedA = new Set<number>();
  const ratedB = new Set<number>();
  const units = new Map<number, { a: number[]; b: number[] }>();
  for (let entry = 0; entry < means.length; entry++) {
    const combined = scores.unit[entry]!;
    const isA = scores.level[entry] === 0;
    const unit = unitOf[combined]!;
    (isA ? ratedA : ratedB).add(unit);
    if (isA) meanOfA[combined] = means[entry]!;
    else if (!Number.isNaN(meanOfA[combined]!)) {
      const both = units.get(unit) ?? { a: [], b: [] };
      if (both.a.length === 0) units.set(unit, both);
      both.a.push(meanOfA[combined]!);
      both.b.push(means[entry]!);
    }
  }
  const labels = labelUnits(a, usedPairs.filter(isUsed).map(([i]) => i), unitOfCell);
  const shared = [...units].map(([unit, both]): SharedUnit => ({
    labels: labels.get(unit) ?? [],
    a: meanOf(both.a),
    b: meanOf(both.b),
  }));
  const countUnshared = (side: Set<number>) => [...side].filter((unit) => !units.has(unit)).length;
  return {
    units: shared,
    a: meanOf(shared.map((unit) => unit.a)),
    b: meanOf(shared.map((unit) => unit.b)),
    onlyA: countUnshared(ratedA),
    onlyB: countUnshared(ratedB),
    combinations: [...units.values()].reduce((sum, both) => sum + both.a.length, 0),
  };
}
