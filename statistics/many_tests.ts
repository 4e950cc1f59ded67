/** Many tests at once. What has no p stays without one and is not counted. */

type P = number | null | undefined;

function adjust(
  ps: readonly P[],
  step: (p: number, place: number, count: number) => number,
  walk: (values: number[]) => number[],
): (number | null)[] {
  const order = ps.flatMap((p, i) => typeof p === "number" ? [{ p, i }] : []).sort((a, b) => a.p - b.p);
  const walked = walk(order.map(({ p }, place) => step(p, place, order.length)));
  const adjusted: (number | null)[] = ps.map(() => null);
  order.forEach(({ i }, place) => adjusted[i] = Math.min(1, walked[place]!));
  return adjusted;
}

const growing = (values: number[]) => {
  let top = 0;
  return values.map((value) => top = Math.max(top, value));
};
const growingFromEnd = (values: number[]) => {
  let bottom = 1;
  return values.toReversed().map((value) => bottom = Math.min(bottom, value)).reverse();
};

/**
 * p-values that hold for all of many tests together: the chance of one false finding stays at the level (Holm 1979).
 *
 * @example
 * ```ts
 * import { adjustHolm } from "./many_tests.ts";
 * if (adjustHolm([0.01, null, 0.04, 0.03]).join() !== "0.03,,0.06,0.06") throw new Error();
 * ```
 */
export const adjustHolm = (ps: readonly P[]): (number | null)[] =>
  adjust(ps, (p, place, count) => p * (count - place), growing);

/**
 * q-values for screening: of what is found at a level, that share is false at most (Benjamini and Hochberg 1995).
 *
 * @example
 * ```ts
 * import { adjustBenjamini } from "./many_tests.ts";
 * if (adjustBenjamini([0.01, 0.04, 0.02]).join() !== "0.03,0.04,0.03") throw new Error();
 * ```
 */
export const adjustBenjamini = (ps: readonly P[]): (number | null)[] =>
  adjust(ps, (p, place, count) => p * count / (place + 1), growingFromEnd);
