/** Text output of the migrator's commands: counts, sizes, durations and tables. */
import { counted, inflect } from "../../../phrases.ts";

/** Returns a count with thousands separators. */
export const formatCount = (count: number): string => count.toLocaleString("en");

/** Returns a count with thousands separators and its noun, such as `1 task` or `1,200 tasks`. */
export const formatCounted = (count: number, one: string, many = `${one}s`): string =>
  `${formatCount(count)} ${inflect(count, one, many)}`;

/**
 * Returns a size in decimal units.
 *
 * @example
 * ```ts
 * import { formatBytes } from "./format.ts";
 * if (formatBytes(1_500) !== "1.5 kB") throw new Error("wrong unit");
 * ```
 */
export function formatBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let size = bytes;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return unit === 0 ? counted(size, "byte") : `${size.toFixed(1)} ${units[unit]}`;
}

/** Returns a duration in seconds, minutes or hours, at least `1 s`. */
export function formatSeconds(seconds: number): string {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

/**
 * Returns a duration in its two largest units.
 *
 * @example
 * ```ts
 * import { formatSpan } from "./format.ts";
 * if (formatSpan(11_520) !== "3 h 12 min") throw new Error("wrong units");
 * ```
 */
export function formatSpan(seconds: number): string {
  const whole = Math.round(seconds);
  const units: [string, number][] = [["d", 86_400], ["h", 3600], ["min", 60], ["s", 1]];
  const at = Math.min(units.findIndex(([, size]) => whole >= size) >>> 0, units.length - 1);
  const [unit, size] = units[at]!;
  const [smaller, smallerSize] = units[at + 1] ?? ["", 1];
  const rest = Math.floor(whole % size / smallerSize);
  return `${Math.floor(whole / size)} ${unit}${smaller !== "" && rest > 0 ? ` ${rest} ${smaller}` : ""}`;
}

/** Returns a table with aligned columns. Columns that hold only numbers are aligned to the right. */
export function formatTable(head: string[], rows: (string | number)[][]): string {
  const cells = [
    head,
    ...rows.map((row) => row.map((cell) => typeof cell === "number" ? formatCount(cell) : cell)),
  ];
  const widths = head.map((_, i) => Math.max(...cells.map((row) => row[i]!.length)));
  const isNumber = head.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === "number"));
  const formatRow = (row: string[]) =>
    row.map((cell, i) => isNumber[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)).join("  ")
      .trimEnd();
  return [
    formatRow(cells[0]!),
    widths.map((width) => "─".repeat(width)).join("  "),
    ...cells.slice(1).map(formatRow),
  ].join("\n");
}

/** Returns ` at 'path'`, or nothing for the whole document. */
export const formatPath = (path: string): string => path === "" ? "" : ` at '${path}'`;
