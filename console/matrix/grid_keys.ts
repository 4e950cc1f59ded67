/** The keys of the matrix. */
import type { Area, Layout, Place } from "./geometry.ts";

const steps: Record<string, readonly [number, number]> = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
};

/** Returns the place to which a key moves, undefined for other keys. @param page visible cells */
export function moveByKey(
  { key, ctrlKey, metaKey }: KeyboardEvent,
  from: Place,
  { rows, columns }: Layout,
  page: Area,
): Place | undefined {
  const hasControl = ctrlKey || metaKey;
  const clamp = (row: number, column: number): Place => ({
    row: Math.min(rows - 1, Math.max(0, row)),
    column: Math.min(columns - 1, Math.max(0, column)),
  });
  const { row, column } = from;
  const step = steps[key];
  if (step) {
    return clamp(row + step[0] * (hasControl ? rows : 1), column + step[1] * (hasControl ? columns : 1));
  }
  const pageRows = Math.max(1, page.rowTo - page.rowFrom - 2);
  switch (key) {
    case "Home":
      return clamp(hasControl ? 0 : row, 0);
    case "End":
      return clamp(hasControl ? rows : row, columns);
    case "PageUp":
      return clamp(row - pageRows, column);
    case "PageDown":
      return clamp(row + pageRows, column);
  }
}
