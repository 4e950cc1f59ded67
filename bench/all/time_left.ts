/** The time left of several benches, from their usual durations and from how this machine has kept to them. */

/** Sum of numbers. */
const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

/**
 * Returns the minutes left.
 *
 * @param usual usual minutes of each bench
 * @param index which bench runs
 * @param running minutes since its start
 * @param past minutes that the benches before it have taken
 */
export function minutesLeft(usual: number[], index: number, running: number, past: number): number {
  const usualPast = sum(usual.slice(0, index));
  const slowness = usualPast > 0 ? past / usualPast : 1;
  return Math.max(0, usual[index]! * slowness - running) + sum(usual.slice(index + 1)) * slowness;
}

/** Formats minutes: `about 12 min`, or `under a minute`. */
export const formatLeft = (minutes: number): string =>
  minutes < 1 ? "under a minute" : `about ${Math.round(minutes)} min`;
