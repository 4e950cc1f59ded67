/**
 * The order in which the cells of a task are drawn. The first few cells already show every level of every
 * axis.
 */

const gcd = (a: number, b: number): number => b === 0 ? a : gcd(b, a % b);

/**
 * Orders the cells along the diagonals of the matrix. The first cells, as many as the longest axis has
 * levels, contain every level of every axis.
 *
 * @param lengths lengths of the axes, slowest first; their product is the number of cells
 * @returns the rank of each cell in this order, by its row-major index
 *
 * @example
 * ```ts
 * import { spreadCells } from "./spread.ts";
 * // cells 0 (0,0), 3 (1,1), 2 (1,0), 1 (0,1) of a 2 × 2 matrix
 * if (String(spreadCells([2, 2])) !== "0,2,3,1") throw new Error(String(spreadCells([2, 2])));
 * ```
 */
export function spreadCells(lengths: number[]): Uint32Array {
  // A diagonal has as many cells as the least common multiple of the lengths. Shifted diagonals cover the
  // other cells.
  let period = 1;
  const shifts = lengths.map((length) => {
    const shared = gcd(period, length);
    period = period / shared * length;
    return shared;
  });
  const total = lengths.reduce((product, length) => product * length, 1);
  const ranks = new Uint32Array(total);
  const shift = lengths.map(() => 0);
  for (let rank = 0; rank < total;) {
    for (let step = 0; step < period; step++, rank++) {
      let cell = 0;
      for (let i = 0; i < lengths.length; i++) {
        cell = cell * lengths[i]! + (step + shift[i]!) % lengths[i]!;
      }
      ranks[cell] = rank;
    }
    for (let i = lengths.length - 1; i >= 0; i--) {
      shift[i]!++;
      if (shift[i]! < shifts[i]!) break;
      shift[i] = 0;
    }
  }
  return ranks;
}
