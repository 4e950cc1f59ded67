/** Whether what a level does depends on the level of another axis. */
import { adjustBenjamini } from "./many_tests.ts";
import { meanOf, testMean, testTwoMeans } from "./paired.ts";

/** Mean of a unit at a level of each of the two axes. */
export interface Meeting {
  unit: number;
  level: number;
  by: number;
  mean: number;
}

export interface Interaction {
  level: number;
  by: number;
  /** Stars more than both axes' own effects add up to; on the average of units. */
  excess: number;
  p: number;
  /** Over all combinations (Benjamini and Hochberg). */
  q: number;
}

type Found = Omit<Interaction, "q">;

/** Units that have every combination: what remains of each when both axes' effects in it are taken off. */
function withinUnits(byUnit: Meeting[][], levels: number[], others: number[]): Found[] {
  const height = levels.length;
  const width = others.length;
  const rowOf = new Map(levels.map((level, i) => [level, i]));
  const columnOf = new Map(others.map((by, i) => [by, i]));
  const whole = byUnit.filter((list) => list.length === height * width);
  const rests = new Float64Array(height * width * whole.length);
  const rows = new Float64Array(height);
  const columns = new Float64Array(width);
  whole.forEach((list, unit) => {
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
      rests[(row * width + column) * whole.length + unit] = mean - rows[row]! - columns[column]! + total;
    }
  });
  return levels.flatMap((level, row) =>
    others.flatMap((by, column) => {
      const from = (row * width + column) * whole.length;
      const test = testMean(rests.subarray(from, from + whole.length));
      return test?.p === undefined || test.p === null ? [] : [{ level, by, excess: test.value, p: test.p }];
    })
  );
}

/** Each unit has one level of the other axis: a level's effect in those units against that in all others. */
function betweenUnits(byUnit: Meeting[][], levels: number[], others: number[]): Found[] {
  const whole = byUnit.filter((list) => list.length === levels.length).map((list) => {
    const mean = meanOf(list.map((one) => one.mean));
    return { by: list[0]!.by, effects: new Map(list.map((one) => [one.level, one.mean - mean])) };
  });
  return levels.flatMap((level) =>
    others.flatMap((by) => {
      const [here, there] = [true, false].map((inside) =>
        whole.filter((unit) => (unit.by === by) === inside).map(({ effects }) => effects.get(level)!)
      ) as [number[], number[]];
      const p = testTwoMeans(here, there);
      return p === undefined ? [] : [{ level, by, excess: meanOf(here) - meanOf(there), p }];
    })
  );
}

/**
 * Screens all combinations of two axes for interactions, on units that lack nothing: paired within units where the other
 * axis varies there, between units (Welch) where it is part of the content. With fewer than 6 units nothing is tested.
 *
 * @param meetings one of a unit and combination
 */
export function findInteractions(meetings: readonly Meeting[]): Interaction[] {
  const levels = [...new Set(meetings.map(({ level }) => level))].sort((a, b) => a - b);
  const others = [...new Set(meetings.map(({ by }) => by))].sort((a, b) => a - b);
  if (levels.length < 2 || others.length < 2) return [];
  const units = new Map<number, Meeting[]>();
  for (const meeting of meetings) {
    const list = units.get(meeting.unit);
    if (list) list.push(meeting);
    else units.set(meeting.unit, [meeting]);
  }
  const byUnit = [...units.values()];
  const nested = byUnit.every((list) => list.every(({ by }) => by === list[0]!.by));
  const found = nested ? betweenUnits(byUnit, levels, others) : withinUnits(byUnit, levels, others);
  const qs = adjustBenjamini(found.map(({ p }) => p));
  return found.map((one, i) => ({ ...one, q: qs[i]! }));
}
