/**
 * The unit of analysis: groups of cells that are independent of each other, and their scores for each level.
 */
import type { Axis, CellLevels } from "./axes.ts";
import { starsMax } from "./krippendorff.ts";

/**
 * What distinguishes units: the content axes; without any beside the analysed axis, the other axes; without
 * those, the repeats. With `nothing`, all cells form one unit.
 */
export type Basis = "content" | "axes" | "repeats" | "nothing";

/** Level and unit of every cell. */
export interface Design {
  /** Level of each cell on the analysed axis; −1 for none. */
  level: Int32Array;
  levels: number;
  /** Unit of each cell; −1 for none. */
  unit: Int32Array;
  units: number;
  basis: Basis;
  /** Positions of the axes that distinguish units. */
  unitAxes: number[];
}

/** Maximum key range for a dense table; larger ranges use a map. */
const denseMax = 4_000_000;

/** Creates a numbering of keys below `size`, from 1, in order of first occurrence. */
function createNumbering(size: number): { of: (key: number) => number; keys: number[] } {
  const keys: number[] = [];
  if (size <= denseMax) {
    const numbers = new Int32Array(size);
    const add = (key: number) => {
      const number = keys.push(key);
      numbers[key] = number;
      return number;
    };
    return { keys, of: (key) => numbers[key] || add(key) };
  }
  const numbers = new Map<number, number>();
  const add = (key: number) => {
    const number = keys.push(key);
    numbers.set(key, number);
    return number;
  };
  return { keys, of: (key) => numbers.get(key) ?? add(key) };
}

/** Numbers the combinations of levels that occur. A cell without a level in any column gets −1. */
export function combineColumns(
  columns: readonly Int32Array[],
  cells: number,
): { of: Int32Array; count: number } {
  let of: Int32Array = new Int32Array(cells);
  let count = cells > 0 ? 1 : 0;
  for (const column of columns) {
    const width = column.reduce((most, level) => Math.max(most, level), 0) + 1;
    const numbers = createNumbering(count * width);
    const next = new Int32Array(cells);
    for (let i = 0; i < cells; i++) {
      next[i] = of[i]! < 0 || column[i]! < 0 ? -1 : numbers.of(of[i]! * width + column[i]!) - 1;
    }
    of = next;
    count = numbers.keys.length;
  }
  return { of, count };
}

/** Returns each cell's position among the repeats of its combination. */
const listRepeats = (axes: readonly Axis[], cells: number): Int32Array => {
  const combinations = axes.reduce((product, { levelOf }) => product * levelOf.length, 1);
  const repeats = Math.max(1, Math.floor(cells / combinations));
  return Int32Array.from({ length: cells }, (_, cell) => cell % repeats);
};

/**
 * Creates the design for the effect of one axis. That axis is the treatment, whatever its role.
 *
 * @param axis position of the analysed axis
 */
export function createDesign(axes: readonly Axis[], { cells, levels }: CellLevels, axis: number): Design {
  const others = axes.map((_, i) => i).filter((i) => i !== axis);
  const content = others.filter((i) => axes[i]!.role === "content");
  const varied = others.filter((i) => axes[i]!.role !== "replicate" && axes[i]!.levels.length > 1);
  const repeats = others.filter((i) => axes[i]!.role === "replicate");
  const level = levels[axis]!;
  const designOf = (basis: Basis, unitAxes: number[], columns: Int32Array[]): Design => {
    const { of, count } = combineColumns(columns, cells);
    return { level, levels: axes[axis]!.levels.length, unit: of, units: count, basis, unitAxes };
  };
  const columns = (positions: number[]) => positions.map((i) => levels[i]!);
  if (content.length > 0) return designOf("content", content, columns(content));
  if (varied.length > 0) return designOf("axes", varied, columns(varied));
  if (repeats.length > 0) return designOf("repeats", repeats, columns(repeats));
  const repeatOf = listRepeats(axes, cells);
  return repeatOf.some((repeat) => repeat > 0)
    ? designOf("repeats", [], [repeatOf])
    : designOf("nothing", [], []);
}

/** Ratings as columns: cell, rater and stars of each. */
export interface Ratings {
  cell: Int32Array;
  rater: Int32Array;
  stars: Uint8Array;
}

/** Returns the numbers of all cells of a task. */
export const listCells = (cells: number): Int32Array => Int32Array.from({ length: cells }, (_, cell) => cell);

/** Lists the cells of each group in ascending order. Cells without a group, −1, are left out. */
export function splitCells(group: Int32Array, groups: number): Int32Array[] {
  const counts = new Uint32Array(groups);
  for (const at of group) if (at >= 0) counts[at]!++;
  const parts = Array.from(counts, (count) => new Int32Array(count));
  counts.fill(0);
  for (let cell = 0; cell < group.length; cell++) {
    const at = group[cell]!;
    if (at >= 0) parts[at]![counts[at]!++] = cell;
  }
  return parts;
}

/** Splits ratings by the group of their cell. Ratings of cells without a group are left out. */
export function splitRatings(
  { cell, rater, stars }: Ratings,
  group: Int32Array,
  groups: number,
): Ratings[] {
  const counts = new Uint32Array(groups);
  for (let i = 0; i < cell.length; i++) if (group[cell[i]!]! >= 0) counts[group[cell[i]!]!]!++;
  const parts = Array.from(counts, (count): Ratings => ({
    cell: new Int32Array(count),
    rater: new Int32Array(count),
    stars: new Uint8Array(count),
  }));
  counts.fill(0);
  for (let i = 0; i < cell.length; i++) {
    const at = group[cell[i]!]!;
    if (at < 0) continue;
    const part = parts[at]!;
    const position = counts[at]!++;
    part.cell[position] = cell[i]!;
    part.rater[position] = rater[i]!;
    part.stars[position] = stars[i]!;
  }
  return parts;
}

/** Scores per unit and level with at least one rated image, ordered by level, then unit. */
export interface UnitScores {
  level: Int32Array;
  unit: Int32Array;
  /**
   * Shares of 1 to 5 stars, five numbers per entry: averaged over raters within an image, then over images in
   * the unit.
   */
  shares: Float64Array;
  /** Number of rated images of each entry. */
  images: Int32Array;
  /** Position of each level's first entry, and the total number of entries at the end. */
  starts: Int32Array;
}

/** Counts the stars of each cell: five counts per cell. */
export function countStars({ cell, stars }: Pick<Ratings, "cell" | "stars">, cells: number): Uint16Array {
  const counts = new Uint16Array(cells * starsMax);
  for (let i = 0; i < stars.length; i++) counts[cell[i]! * starsMax + stars[i]! - 1]!++;
  return counts;
}

/**
 * Averages ratings over raters within an image, then over images within a unit.
 *
 * @param counts star counts from `countStars`
 * @param cells numbers of the analysed cells, in ascending order
 */
export function averageByUnit(
  { level, unit, levels, units }: Design,
  counts: Uint16Array,
  cells: Int32Array,
): UnitScores {
  const numbers = createNumbering(levels * units);
  const sums: number[] = [];
  const images: number[] = [];
  for (const cell of cells) {
    if (level[cell]! < 0 || unit[cell]! < 0) continue;
    const from = cell * starsMax;
    let raters = 0;
    for (let i = 0; i < starsMax; i++) raters += counts[from + i]!;
    if (raters === 0) continue;
    const entry = numbers.of(level[cell]! * units + unit[cell]!) - 1;
    if (entry === images.length) {
      images.push(0);
      sums.push(0, 0, 0, 0, 0);
    }
    images[entry]!++;
    for (let i = 0; i < starsMax; i++) sums[entry * starsMax + i]! += counts[from + i]! / raters;
  }
  const keys = Float64Array.from(numbers.keys).sort();
  const scores: UnitScores = {
    level: new Int32Array(keys.length),
    unit: new Int32Array(keys.length),
    shares: new Float64Array(keys.length * starsMax),
    images: new Int32Array(keys.length),
    starts: new Int32Array(levels + 1),
  };
  for (let position = 0; position < keys.length; position++) {
    const entry = numbers.of(keys[position]!) - 1;
    const entryLevel = Math.floor(keys[position]! / units);
    scores.level[position] = entryLevel;
    scores.unit[position] = keys[position]! % units;
    scores.images[position] = images[entry]!;
    scores.starts[entryLevel + 1]!++;
    for (let i = 0; i < starsMax; i++) {
      scores.shares[position * starsMax + i] = sums[entry * starsMax + i]! / images[entry]!;
    }
  }
  for (let i = 0; i < levels; i++) scores.starts[i + 1]! += scores.starts[i]!;
  return scores;
}

/** Returns the mean stars of each entry. */
export const meansOf = ({ shares, images }: UnitScores): Float64Array =>
  Float64Array.from(images, (_, entry) => {
    let mean = 0;
    for (let i = 0; i < starsMax; i++) mean += (i + 1) * shares[entry * starsMax + i]!;
    return mean;
  });

/** Returns each entry's share of 4 and 5 stars. */
export const topTwoShares = ({ shares, images }: UnitScores): Float64Array =>
  Float64Array.from(images, (_, entry) => shares[entry * starsMax + 3]! + shares[entry * starsMax + 4]!);
