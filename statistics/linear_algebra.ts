/** Small dense symmetric matrices, stored row by row in one array. */

/**
 * Inverts a positive definite matrix by Gauss–Jordan elimination; such a matrix needs no pivoting.
 *
 * @example
 * ```ts
 * import { invert } from "./linear_algebra.ts";
 * if (invert(Float64Array.of(2, 1, 1, 1), 2).join() !== "1,-1,-1,2") throw new Error();
 * ```
 */
export function invert(matrix: Float64Array, size: number): Float64Array {
  const a = matrix.slice();
  for (let k = 0; k < size; k++) {
    const pivot = 1 / a[k * size + k]!;
    a[k * size + k] = 1;
    for (let j = 0; j < size; j++) a[k * size + j]! *= pivot;
    for (let i = 0; i < size; i++) {
      if (i === k) continue;
      const factor = a[i * size + k]!;
      if (factor === 0) continue;
      a[i * size + k] = 0;
      for (let j = 0; j < size; j++) a[i * size + j]! -= factor * a[k * size + j]!;
    }
  }
  return a;
}

/** Multiplies a square matrix by a vector. */
export function multiply(matrix: Float64Array, vector: ArrayLike<number>): Float64Array {
  const size = vector.length;
  return Float64Array.from({ length: size }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < size; j++) sum += matrix[i * size + j]! * vector[j]!;
    return sum;
  });
}
