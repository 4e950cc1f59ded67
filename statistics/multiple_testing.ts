/** Corrections for multiple testing. Entries without a p-value remain without one and are not counted. */

type P = number | null | undefined;

function adjust(
  ps: readonly P[],
  correct: (p: number, rank: number, count: number) => number,
  enforceMonotonicity: (values: number[]) => number[],
): (number | null)[] {
  const order = ps.flatMap((p, i) => typeof p === "number" ? [{ p, i }] : []).sort((a, b) => a.p - b.p);
  const corrected = enforceMonotonicity(order.map(({ p }, rank) => correct(p, rank, order.length)));
  const adjusted: (number | null)[] = ps.map(() => null);
  order.forEach(({ i }, rank) => adjusted[i] = Math.min(1, corrected[rank]!));
  return adjusted;
}

const runningMaximum = (values: number[]) => {
  let top = 0;
  return values.map((value) => top = Math.max(top, value));
};
const runningMinimumFromEnd = (values: number[]) => {
  let bottom = 1;
  return values.toReversed().map((value) => bottom = Math.min(bottom, value)).reverse();
};

/**
 * Returns p-values with control of the family-wise error rate (Holm 1979).
 *
 * @example
 * ```ts
 * import { adjustHolm } from "./multiple_testing.ts";
 * if (adjustHolm([0.01, null, 0.04, 0.03]).join() !== "0.03,,0.06,0.06") throw new Error();
 * ```
 */
export const adjustHolm = (ps: readonly P[]): (number | null)[] =>
  adjust(ps, (p, rank, count) => p * (count - rank), runningMaximum);

/**
 * Returns q-values with control of the false discovery rate (Benjamini and Hochberg 1995).
 *
 * @example
 * ```ts
 * import { adjustBenjaminiHochberg } from "./multiple_testing.ts";
 * if (adjustBenjaminiHochberg([0.01, 0.04, 0.02]).join() !== "0.03,0.04,0.03") throw new Error();
 * ```
 */
export const adjustBenjaminiHochberg = (ps: readonly P[]): (number | null)[] =>
  adjust(ps, (p, rank, count) => p * count / (rank + 1), runningMinimumFromEnd);
