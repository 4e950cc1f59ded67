/** Texts for errors about a task's axes: what the client can give instead. */

const noAxes = "this task has no axes";

/** Describes the axes of a task as valid values. */
export const wantedAxis = (axes: readonly string[]): string =>
  axes.length === 0 ? noAxes : `one of ${axes.join(", ")}`;

/** Describes the axes of a task besides the one that another field names. */
export function wantedOtherAxis(axes: readonly string[], taken: string): string {
  const others = axes.filter((axis) => axis !== taken);
  return others.length === 0 ? `to be left out: this task has no axis besides ${taken}` : wantedAxis(others);
}

/** Describes the indices of an axis. */
export const wantedIndex = (length: number): string =>
  length === 0 ? "an axis with values; this one has none" : length === 1 ? "0" : `0 to ${length - 1}`;
