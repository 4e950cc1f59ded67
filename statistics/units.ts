/** The unit of analysis: what images are independent by, and what each unit says of each level. */
import type { Axis, Places } from "./axes.ts";
import { starsMax } from "./krippendorff.ts";

/**
 * What units are made of: the content; where the asked axis is all of it, the other axes, or else the repeats; `nothing`
 * makes one unit of all.
 */
export type Basis = "content" | "axes" | "repeats" | "nothing";

export interface Layout {
  /** Of each cell, its level of the asked axis; −1 for none. */
  level: Int32Array;
  levels: number;
  /** Of each cell, its unit; −1 for none. */
  unit: Int32Array;
  units: number;
  basis: Basis;
  /** Axes that units are made of. */
  unitAxes: number[];
}

/** Of tables up to this size every place is kept; of larger ones, those that are there. */
const denseMax = 4_000_000;

/** Numbers keys below `size` by the order in which they come. */
function createNumbers(size: number): { of: (key: number) => number; keys: number[] } {
  const keys: number[] = [];
  if (size <= denseMax) {
    const numbers = new Int32Array(size);
    return { keys, of: (key) => numbers[key] === 0 ? numbers[key] = keys.push(key) : numbers[key]! };
  }
  const numbers = new Map<number, number>();
  const add = (key: number) => {
    const number = keys.push(key);
    numbers.set(key, number);
    return number;
  };
  return { keys, of: (key) => numbers.get(key) ?? add(key) };
}

/** Numbers the combinations of `columns` that are there. */
export function combine(
  columns: readonly Int32Array[],
  cells: number,
): { of: Int32Array; count: number } {
  let of: Int32Array = new Int32Array(cells);
  let count = cells > 0 ? 1 : 0;
  for (const column of columns) {
    const width = column.reduce((most, level) => Math.max(most, level), 0) + 1;
    const numbers = createNumbers(count * width);
    const next = new Int32Array(cells);
    for (let i = 0; i < cells; i++) {
      next[i] = of[i]! < 0 || column[i]! < 0 ? -1 : numbers.of(of[i]! * width + column[i]!) - 1;
    }
    of = next;
    count = numbers.keys.length;
  }
  return { of, count };
}

/** Place within a combination: the repeats of a task that says how often each is drawn. */
const repeatsOf = (axes: readonly Axis[], cells: number): Int32Array => {
  const combinations = axes.reduce((product, { levelOf }) => product * levelOf.length, 1);
  const repeats = Math.max(1, Math.floor(cells / combinations));
  return Int32Array.from({ length: cells }, (_, cell) => cell % repeats);
};

/**
 * Lays out a matrix for the question what `asked` makes of the images. The asked axis is a treatment, whatever its role.
 *
 * @param asked place among `axes`
 */
export function layOut(axes: readonly Axis[], { cells, levels }: Places, asked: number): Layout {
  const others = axes.map((_, i) => i).filter((i) => i !== asked);
  const content = others.filter((i) => axes[i]!.role === "content");
  const settled = others.filter((i) => axes[i]!.role !== "replicate" && axes[i]!.levels.length > 1);
  const repeats = others.filter((i) => axes[i]!.role === "replicate");
  const level = levels[asked]!;
  const lay = (basis: Basis, unitAxes: number[], columns: Int32Array[]): Layout => {
    const { of, count } = combine(columns, cells);
    return { level, levels: axes[asked]!.levels.length, unit: of, units: count, basis, unitAxes };
  };
  const columns = (places: number[]) => places.map((i) => levels[i]!);
  if (content.length > 0) return lay("content", content, columns(content));
  if (settled.length > 0) return lay("axes", settled, columns(settled));
  if (repeats.length > 0) return lay("repeats", repeats, columns(repeats));
  const places = repeatsOf(axes, cells);
  return places.some((place) => place > 0) ? lay("repeats", [], [places]) : lay("nothing", [], []);
}

/** Ratings by cell; `cell`, `rater` and `stars` of each. */
export interface Ratings {
  cell: Int32Array;
  rater: Int32Array;
  stars: Uint8Array;
}

/** Ratings by the group that their cell is in; those of cells in none are left out. */
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
    const place = counts[at]!++;
    part.cell[place] = cell[i]!;
    part.rater[place] = rater[i]!;
    part.stars[place] = stars[i]!;
  }
  return parts;
}

/** One entry a unit and level that has a rated image, ordered by level, then unit. */
export interface Scores {
  level: Int32Array;
  unit: Int32Array;
  /** Of each entry, the shares of 1 to 5 stars: raters averaged in an image, images in the unit. Five numbers each. */
  shares: Float64Array;
  /** Rated images of each entry. */
  images: Int32Array;
  /** Where the entries of each level start; one more at the end. */
  starts: Int32Array;
}

/** What raters gave each image: five counts a cell. */
export function countStars({ cell, stars }: Pick<Ratings, "cell" | "stars">, cells: number): Uint16Array {
  const counts = new Uint16Array(cells * starsMax);
  for (let i = 0; i < stars.length; i++) counts[cell[i]! * starsMax + stars[i]! - 1]!++;
  return counts;
}

/**
 * Averages raters inside an image and images inside a unit.
 *
 * @param counts of `countStars`
 * @param chosen 1 for each cell that counts
 */
export function scoreUnits(
  { level, unit, levels, units }: Layout,
  counts: Uint16Array,
  chosen: Uint8Array,
): Scores {
  const numbers = createNumbers(levels * units);
  const sums: number[] = [];
  const images: number[] = [];
  for (let cell = 0; cell < chosen.length; cell++) {
    if (chosen[cell] !== 1 || level[cell]! < 0 || unit[cell]! < 0) continue;
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
  const scores: Scores = {
    level: new Int32Array(keys.length),
    unit: new Int32Array(keys.length),
    shares: new Float64Array(keys.length * starsMax),
    images: new Int32Array(keys.length),
    starts: new Int32Array(levels + 1),
  };
  for (let place = 0; place < keys.length; place++) {
    const entry = numbers.of(keys[place]!) - 1;
    const at = scores.level[place] = Math.floor(keys[place]! / units);
    scores.unit[place] = keys[place]! % units;
    scores.images[place] = images[entry]!;
    scores.starts[at + 1]!++;
    for (let i = 0; i < starsMax; i++) {
      scores.shares[place * starsMax + i] = sums[entry * starsMax + i]! / images[entry]!;
    }
  }
  for (let i = 0; i < levels; i++) scores.starts[i + 1]! += scores.starts[i]!;
  return scores;
}

/** Means of the entries, in stars. */
export const meansOf = ({ shares, images }: Scores): Float64Array =>
  Float64Array.from(images, (_, entry) => {
    let mean = 0;
    for (let i = 0; i < starsMax; i++) mean += (i + 1) * shares[entry * starsMax + i]!;
    return mean;
  });

/** Shares of 4 and 5 stars of the entries. */
export const topTwoOf = ({ shares, images }: Scores): Float64Array =>
  Float64Array.from(images, (_, entry) => shares[entry * starsMax + 3]! + shares[entry * starsMax + 4]!);
