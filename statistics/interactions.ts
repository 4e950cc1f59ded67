/** Tests whether the effect of a level depends on the level of another axis. */
import { adjustBenjaminiHochberg } from "./multiple_testing.ts";
import { meanOf, testMean, testWelch } from "./mean_tests.ts";

/** Mean of a unit for one combination of levels of the two axes. */
export interface UnitCellMean {
  unit: number;
  level: number;
  by: number;
  mean: number;
}

export interface Interaction {
  level: number;
  by: number;
  /** Deviation, in stars, from the sum of the two axes' main effects, averaged over units. */
  excess: number;
  p: number;
  /** q-value over all combinations (Benjamini and Hochberg). */
  q: number;
}

type UnadjustedInteraction = Omit<Interaction, "q">;

/** Tests within units that have every combination: residuals after removing both main effects of the unit. */
function testWithinUnits(
  byUnit: UnitCellMean[][],
  levels: number[],
  others: number[],
): UnadjustedInteraction[] {
  const height = levels.length;
  const width = others.length;
  const rowOf = new Map(levels.map((level, i) => [level, i]));
  const columnOf = new Map(others.map((by, i) => [by, i]));
  const complete = byUnit.filter((list) => list.length === height * width);
  const residuals = new Float64Array(height * width * complete.length);
  const rows = new Float64Array(height);
  const columns = new Float64Array(width);
  complete.forEach((list, unit) => {
    rows.fill(0);
    columns.fill(0);
    for (const { level, by, mean } of list) {
      rows[rowOf.get(level)!]! += mean / width;
      columns[columnOf.get(by)!]! += mean / height;
    }
    const total = meanOf(rows);
    for (const { level, by, mean } of list) {
      const row = rowOf.get(level)!;
      const column = columnOf.get(by)!;
      residuals[(row * width + column) * complete.length + unit] = mean - rows[row]! - columns[column]! +
        total;
    }
  });
  return levels.flatMap((level, row) =>
    others.flatMap((by, column) => {
      const from = (row * width + column) * complete.length;
      const test = testMean(residuals.subarray(from, from + complete.length));
      return test?.p === undefined || test.p === null ? [] : [{ level, by, excess: test.value, p: test.p }];
    })
  );
}

/**
 * Tests between units that each have one level of the other axis: a level's effect in those units against the
 * others.
 */
function testBetweenUnits(
  byUnit: UnitCellMean[][],
  levels: number[],
  others: number[],
): UnadjustedInteraction[] {
  const complete = byUnit.filter((list) => list.length === levels.length).map((list) => {
    const mean = meanOf(list.map((one) => one.mean));
    return { by: list[0]!.by, effects: new Map(list.map((one) => [one.level, one.mean - mean])) };
  });
  return levels.flatMap((level) =>
    others.flatMap((by) => {
      const effectsWhere = (inside: boolean) =>
        complete.filter((unit) => (unit.by === by) === inside).map(({ effects }) => effects.get(level)!);
      const here = effectsWhere(true);
      const there = effectsWhere(false);
      const p = testWelch(here, there);
      return p === undefined ? [] : [{ level, by, excess: meanOf(here) - meanOf(there), p }];
    })
  );
}

/**
 * Screens all combinations of levels of two axes for interactions, using only units without missing
 * combinations. Tests are paired within units if the other axis varies within them, and compare units (Welch)
 * if the other axis is part of the content. Nothing is tested with fewer than 6 units.
 *
 * @param cellMeans one entry per unit and combination
 */
export function findInteractions(cellMeans: readonly UnitCellMean[]): Interaction[] {
  const levels = [...new Set(cellMeans.map(({ level }) => level))].sort((a, b) => a - b);
  const others = [...new Set(cellMeans.map(({ by }) => by))].sort((a, b) => a - b);
  if (levels.length < 2 || others.length < 2) return [];
  const units = new Map<number, UnitCellMean[]>();
  for (const cellMean of cellMeans) {
    const list = units.get(cellMean.unit);
    if (list) list.push(cellMean);
    else units.set(cellMean.unit, [cellMean]);
  }
  const byUnit = [...units.values()];
  const nested = byUnit.every((list) => list.every(({ by }) => by === list[0]!.by));
  const found = nested ? testBetweenUnits(byUnit, levels, others) : testWithinUnits(byUnit, levels, others);
  const qs = adjustBenjaminiHochberg(found.map(({ p }) => p));
  return found.map((one, i) => ({ ...one, q: qs[i]! }));
}
