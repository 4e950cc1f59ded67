/** Conversion between cell numbers and indices on the axes, also for axes that were extended later. */
import type { Shape } from "../../../db/views/task_detail.ts";

/** Name of the axis of repeats. It is the last axis and varies fastest. */
export const batchAxis = "batch";

/** Cells that were created together, in row-major order within a box of the matrix. */
export interface Block {
  /** Number of the first cell. */
  first: number;
  /** First index and length of the box on each axis. */
  from: number[];
  lengths: number[];
  count: number;
}

/** A matrix whose cells fill its axes. */
export interface Matrix {
  /** Names of the axes that have values, slowest first; `batch` is last if combinations are repeated. */
  axes: string[];
  lengths: number[];
  total: number;
  /** Boxes that together fill the matrix, by their first cell. */
  blocks: Block[];
  /** Returns the index of a cell on each axis. */
  indicesOf(cell: number): number[];
  /** Returns the number of the cell at the given indices. */
  cellAt(indices: number[]): number;
}

const product = (lengths: number[]) => lengths.reduce((all, length) => all * length, 1);

/**
 * Creates the conversion for a task.
 *
 * @returns undefined if cells do not fill the axes, as in some migrated tasks
 */
export function createMatrix({ lengths, grown, total }: Shape): Matrix | undefined {
  const slots = lengths.flatMap((length, slot) => length > 0 ? [slot] : []);
  const known = slots.map((slot) => lengths[slot]!);
  const repeats = total / product(known);
  if (!Number.isInteger(repeats) || repeats < 1) return undefined;
  const axes = [...slots.map((slot) => `v${slot}`), ...(repeats > 1 ? [batchAxis] : [])];
  const full = [...known, ...(repeats > 1 ? [repeats] : [])];
  const blocks: Block[] = [];
  const now = [...full];
  for (const { slot, known, length } of grown.toReversed()) {
    const axis = slots.indexOf(slot);
    const box = now.with(axis, length - known);
    blocks.unshift({
      first: 0,
      from: full.map((_, i) => i === axis ? known : 0),
      lengths: box,
      count: product(box),
    });
    now[axis] = known;
  }
  blocks.unshift({ first: 0, from: full.map(() => 0), lengths: now, count: product(now) });
  for (const [i, block] of blocks.entries()) {
    block.first = i === 0 ? 0 : blocks[i - 1]!.first + blocks[i - 1]!.count;
  }

  return {
    axes,
    lengths: full,
    total,
    blocks,
    indicesOf(cell) {
      const block = blocks.findLast(({ first }) => first <= cell)!;
      let rest = cell - block.first;
      const indices = full.map(() => 0);
      for (let i = full.length - 1; i >= 0; i--) {
        indices[i] = block.from[i]! + rest % block.lengths[i]!;
        rest = Math.floor(rest / block.lengths[i]!);
      }
      return indices;
    },
    cellAt(indices) {
      const block = blocks.find(({ from, lengths }) =>
        indices.every((index, i) => index >= from[i]! && index < from[i]! + lengths[i]!)
      )!;
      return block.first +
        indices.reduce((cell, index, i) => cell * block.lengths[i]! + index - block.from[i]!, 0);
    },
  };
}
