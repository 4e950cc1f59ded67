/**
 * A cell as a row of an export, and its CSV and JSON formats. Both hold the same values, and a reader can restore them:
 * tests/v2/cells/export_round_trip_test.ts does.
 */
import type { ExportCell } from "../../../db/views/export.ts";
import { type ExportAxis, indexOn, valueAt } from "./export_axes.ts";
import { countStars, type Feedback, feedbackColumns, type NameOf, toFeedback } from "./export_feedback.ts";

type CellColumns = Pick<
  ExportCell,
  "cell" | "status" | "version" | "image" | "seed" | "ratio" | "error" | "mean" | "n" | "favourite"
>;

export interface ExportRow extends CellColumns, Feedback {
  /** Index on each axis; null if unknown. */
  indices: (number | null)[];
  prompts: string[];
  /** Numbers of ratings with one to five stars; null if hidden or zero. */
  distribution: number[] | null;
}

/** Returns the texts of a prompt's entries: free text as it is, characters and elements by name. */
function readPrompts(text: string | null): string[] {
  const entries: unknown = text === null ? [] : JSON.parse(text);
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry) => {
    const text = entry?.type === "freetext" ? entry.value : entry?.name ?? entry?.value;
    return text === undefined || text === null || text === "" ? [] : [String(text)];
  });
}

/** Converts a cell to a row. */
export function toRow(axes: ExportAxis[], found: ExportCell, nameOf: NameOf): ExportRow {
  const { cell, status, version, image, seed, ratio, error, mean, n, favourite } = found;
  const columns: CellColumns = { cell, status, version, image, seed, ratio, error, mean, n, favourite };
  const feedback = toFeedback(found, nameOf);
  return Object.assign(columns, feedback, {
    indices: axes.map((axis) => indexOn(axis, found)),
    prompts: readPrompts(found.prompts),
    distribution: n === null ? null : countStars(feedback),
  });
}

/**
 * Text that spreadsheets take for a formula: it starts with one of the signs, as they are or in full width, after white
 * space or not. Apostrophes before it count, so that the added one can be told from the text's own.
 */
const formula = /^['\s]*[=+\-@＝＋－＠]|^'*[\t\r\n]/;

/**
 * Formats a CSV field (RFC 4180) that no spreadsheet evaluates: a text that starts like a formula gets an apostrophe. An
 * empty text is `""`, null is nothing.
 *
 * @example
 * ```ts
 * import { csvField } from "./export_rows.ts";
 * if (csvField('=1+"1"') !== `"'=1+""1"""` || csvField("a") !== "a" || csvField("'=1") !== "''=1") throw new Error();
 * ```
 */
export function csvField(text: string | null): string {
  if (text === null) return "";
  const safe = formula.test(text) ? `'${text}` : text;
  return safe === "" || /[",\r\n]/.test(safe) || safe !== safe.trim()
    ? `"${safe.replaceAll('"', '""')}"`
    : safe;
}

/** Formats a list as JSON, whose separators no value can contain; an empty one as an empty field. */
const csvList = (list: unknown[]): string => csvField(list.length === 0 ? null : JSON.stringify(list));

const stars = [1, 2, 3, 4, 5];

/** Returns the header line. */
export function csvHead(axes: ExportAxis[]): string {
  const names = axes.map(({ axis, name }) => axis === name ? axis : `${axis} ${name}`);
  const columns = [
    "cell",
    ...names,
    "status",
    "version",
    "image",
    "seed",
    "ratio",
    "prompts",
    "error",
    "mean",
    "n",
    ...stars.map((star) => `stars_${star}`),
    ...feedbackColumns,
    "favourite",
  ];
  return `${columns.map(csvField).join(",")}\r\n`;
}

const csvNumber = (value: number | null): string => value === null ? "" : String(value);

/** Formats a row as a CSV line. */
export function csvRow(axes: ExportAxis[], row: ExportRow): string {
  const { distribution } = row;
  const fields = [
    String(row.cell),
    ...axes.map((axis, i) => csvField(valueAt(axis, row.indices[i]))),
    csvField(row.status),
    String(row.version),
    csvField(row.image),
    row.seed ?? "",
    csvField(row.ratio),
    csvList(row.prompts),
    csvField(row.error),
    csvNumber(row.mean),
    csvNumber(row.n),
    ...stars.map((_, i) => csvNumber(distribution?.[i] ?? null)),
    ...feedbackColumns.map((column) => csvList(row[column])),
    String(row.favourite),
  ];
  return `${fields.join(",")}\r\n`;
}

/** Characters that JSON allows within a text, but that some readers take for the end of a line. */
const otherLineEnds = /[\u0085\u2028\u2029]/g;
const escapeSign = (sign: string): string => `\\u${sign.charCodeAt(0).toString(16).padStart(4, "0")}`;

/** Formats a row as a JSON line. */
export function ndjsonRow(axes: ExportAxis[], row: ExportRow): string {
  const { cell, status, version, image, seed, ratio, prompts, error, mean, n, distribution } = row;
  const values = axes.map(({ axis, name }, i) => ({ axis, name, value: valueAt(axes[i]!, row.indices[i]) }));
  const before = JSON.stringify({ cell, axes: values, status, version, image });
  const feedback = Object.fromEntries(feedbackColumns.map((column) => [column, row[column]]));
  const after = JSON.stringify(
    Object.assign({ ratio, prompts, error, mean, n, distribution }, feedback, { favourite: row.favourite }),
  );
  // A seed may exceed the integer precision of a JavaScript number.
  return `${before.slice(0, -1)},"seed":${seed ?? "null"},${after.slice(1)}\n`.replace(
    otherLineEnds,
    escapeSign,
  );
}
