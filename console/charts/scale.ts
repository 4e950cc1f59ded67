/** Scales: the range of values that a chart shows, with ticks at round numbers. */

/** A value with its interval. Bounds are null where none can be computed. */
export interface Estimate {
  value: number;
  low: number | null;
  high: number | null;
}

export interface Scale {
  from: number;
  to: number;
  /** From the first to the last, both included. */
  ticks: readonly number[];
}

/** Returns the round step that divides a range into about four parts. */
function stepFor(range: number): number {
  const rough = range / 4;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * ([1, 2, 5].find((step) => step * power >= rough * 0.99) ?? 10);
}

/**
 * Returns a scale that shows all values.
 *
 * @param least smallest range that is shown, so that equal values do not seem far apart
 */
export function createScale(values: readonly number[], least: number): Scale {
  const low = values.length === 0 ? 0 : Math.min(...values);
  const high = values.length === 0 ? 0 : Math.max(...values);
  const step = stepFor(Math.max(least, high - low));
  const from = Math.floor(low / step + 1e-9);
  const to = Math.max(from + 1, Math.ceil(high / step - 1e-9));
  // A product of whole numbers and a negative power of ten is often not the nearest number.
  const ticks = Array.from({ length: to - from + 1 }, (_, i) => Number(((from + i) * step).toPrecision(12)));
  return { from: ticks[0]!, to: ticks.at(-1)!, ticks };
}

/** Returns a scale for estimates. @param more values that are shown in any case */
export const scaleFor = (
  estimates: readonly (Estimate | null | undefined)[],
  least: number,
  more: readonly number[] = [],
): Scale =>
  createScale(
    [
      ...more,
      ...estimates.flatMap((one) => one ? [one.value, one.low ?? one.value, one.high ?? one.value] : []),
    ],
    least,
  );

/** Returns the position of a value, from 0 at the start of the scale to 1. */
export const positionOn = ({ from, to }: Scale, value: number): number =>
  Math.min(1, Math.max(0, (value - from) / (to - from)));

/** A number as a text. */
export type Format = (value: number) => string;

/** Returns an estimate as 3.42 (3.10 – 3.74), without brackets if it has no interval. */
export const formatEstimate = ({ value, low, high }: Estimate, format: Format): string =>
  format(value) + (low === null || high === null ? "" : ` (${format(low)} – ${format(high)})`);
