/** The order in which a task's cells are drawn: the first few already show every value of every axis. */

const gcd = (a: number, b: number): number => b === 0 ? a : gcd(b, a % b);

/**
 * Walks the matrix along its diagonals: after as many cells as the longest axis has values, each value of each axis
 * was met.
 *
 * @param lengths of the axes, slowest first; their product is the count of cells
 * @returns for each cell (row-major) its place in the walk, from 0: each place once
 *
 * @example
 * ```ts
 * import { spreadCells } from "./spread.ts";
 * // cells 0 (0,0), 3 (1,1), 2 (1,0), 1 (0,1) of a 2 × 2 matrix
 * if (String(spreadCells([2, 2])) !== "0,2,3,1") throw new Error(String(spreadCells([2, 2])));
 * ```
 */
export function spreadCells(lengths: number[]): Uint32Array {
  // A diagonal closes after the least common multiple of the lengths; shifted ones meet the remaining cells.
  let period = 1;
  const shifts = lengths.map((length) => {
    const shared = gcd(period, length);
    period = period / shared * length;
    return shared;
  });
  const total = lengths.reduce((product, length) => product * length, 1);
  const places = new Uint32Array(total);
  const shift = lengths.map(() => 0);
  for (let place = 0; place < total;) {
    for (let step = 0; step < period; step++, place++) {
      let cell = 0;
      for (let i = 0; i < lengths.length; i++) {
        cell = cell * lengths[i]! + (step + shift[i]!) % lengths[i]!;
      }
      places[cell] = place;
    }
    for (let i = lengths.length - 1; i >= 0; i--) {
      if (++shift[i]! < shifts[i]!) break;
      shift[i] = 0;
    }
  }
  return places;
}
