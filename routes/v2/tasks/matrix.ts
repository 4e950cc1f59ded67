/** From a cell's number to its place on each axis and back, also where axes got further values later. */
import type { Shape } from "../../../db/views/task_detail.ts";

/** The name of the axis of repeats: the last, it turns fastest. */
export const batchAxis = "batch";

/** Cells that came into being together, row-major within a box of the matrix. */
interface Birth {
  first: number;
  /** Where the box begins on each axis, and how long it is. */
  from: number[];
  lengths: number[];
  count: number;
}

export interface Matrix {
  /** Names of the axes that have values, slowest first; `batch` last where combinations are repeated. */
  axes: string[];
  lengths: number[];
  total: number;
  /** The place on each axis. */
  placesOf(cell: number): number[];
  /** The cell at a place on each axis. */
  cellAt(places: number[]): number;
}

const product = (lengths: number[]) => lengths.reduce((all, length) => all * length, 1);

/** @returns undefined where values and cells do not add up, as in some tasks that were brought over */
export function readMatrix({ lengths, grown, total }: Shape): Matrix | undefined {
  const slots = lengths.flatMap((length, slot) => length > 0 ? [slot] : []);
  const known = slots.map((slot) => lengths[slot]!);
  const repeats = total / product(known);
  if (!Number.isInteger(repeats) || repeats < 1) return undefined;
  const axes = [...slots.map((slot) => `v${slot}`), ...(repeats > 1 ? [batchAxis] : [])];
  const full = [...known, ...(repeats > 1 ? [repeats] : [])];
  const births: Birth[] = [];
  const now = [...full];
  for (const { slot, known, length } of grown.toReversed()) {
    const axis = slots.indexOf(slot);
    const box = now.with(axis, length - known);
    births.unshift({
      first: 0,
      from: full.map((_, i) => i === axis ? known : 0),
      lengths: box,
      count: product(box),
    });
    now[axis] = known;
  }
  births.unshift({ first: 0, from: full.map(() => 0), lengths: now, count: product(now) });
  for (const [i, birth] of births.entries()) {
    birth.first = i === 0 ? 0 : births[i - 1]!.first + births[i - 1]!.count;
  }

  return {
    axes,
    lengths: full,
    total,
    placesOf(cell) {
      const birth = births.findLast(({ first }) => first <= cell)!;
      let rest = cell - birth.first;
      const places = full.map(() => 0);
      for (let i = full.length - 1; i >= 0; i--) {
        places[i] = birth.from[i]! + rest % birth.lengths[i]!;
        rest = Math.floor(rest / birth.lengths[i]!);
      }
      return places;
    },
    cellAt(places) {
      const birth = births.find(({ from, lengths }) =>
        places.every((place, i) => place >= from[i]! && place < from[i]! + lengths[i]!)
      )!;
      return birth.first +
        places.reduce((cell, place, i) => cell * birth.lengths[i]! + place - birth.from[i]!, 0);
    },
  };
}
