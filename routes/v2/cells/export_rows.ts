/** A cell as a row of an export, and its CSV and JSON formats. */
import type { ExportCell, ExportHead } from "../../../db/views/export.ts";
import { type Json, parseJson, stringifyJson } from "../../../json.ts";

/**
 * An axis `v0` to `v5` with the texts of its values, or `repeat` if combinations are drawn more than once.
 */
export interface ExportAxis {
  axis: string;
  name: string;
  values: string[];
  /**
   * Number of consecutive cells with the same index; undefined if the index does not follow from the cell
   * number.
   */
  stride: number | undefined;
}

export interface ExportRow extends Omit<ExportCell, "variable_indices" | "prompts"> {
  /** Index on each axis; null if unknown. */
  indices: (number | null)[];
  prompts: string[];
}

const uuidForm = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

/** Returns the text of a value: its name if the value itself is only an id. */
function textOf(value: Json | undefined): string {
  if (typeof value === "string") return value;
  if (!(value instanceof Map)) return value === undefined || value === null ? "" : stringifyJson(value);
  const own = value.get("value");
  const name = value.get("name");
  if (typeof name === "string" && name !== "" && (typeof own !== "string" || uuidForm.test(own))) return name;
  return own === undefined ? stringifyJson(value) : textOf(own);
}

/** Returns the axes of a task that have values, slowest first. */
export function readExportAxes(
  { variables, subtasks_total: total, has_grown: hasGrown }: ExportHead,
): ExportAxis[] {
  const parsed = parseJson(variables);
  const axes: ExportAxis[] = [];
  for (let slot = 0; slot < 6; slot++) {
    const variable = parsed instanceof Map ? parsed.get(`v${slot}`) : undefined;
    const values = variable instanceof Map ? variable.get("values") : undefined;
    if (!(variable instanceof Map) || !Array.isArray(values) || values.length === 0) continue;
    const name = textOf(variable.get("name")) || `v${slot}`;
    axes.push({ axis: `v${slot}`, name, values: values.map(textOf), stride: undefined });
  }
  const combinations = axes.reduce((product, { values }) => product * values.length, 1);
  const repeats = total / combinations;
  if (hasGrown || !Number.isSafeInteger(repeats) || repeats < 1) return axes;
  if (repeats > 1) {
    const values = Array.from({ length: repeats }, (_, i) => String(i + 1));
    axes.push({ axis: "repeat", name: "repeat", values, stride: undefined });
  }
  let stride = 1;
  for (const axis of axes.toReversed()) {
    axis.stride = stride;
    stride *= axis.values.length;
  }
  return axes;
}

/** Returns a cell's index on an axis: the stored one, or else computed from the cell number. */
function indexOn({ axis, values, stride }: ExportAxis, { cell, variable_indices: indices }: ExportCell) {
  const stored = indices?.[axis === "repeat" ? 5 : Number(axis[1])] ?? undefined;
  if (stored !== undefined && stored >= 0 && stored < values.length) return stored;
  return stride === undefined ? null : Math.floor(cell / stride) % values.length;
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
export function toRow(axes: ExportAxis[], found: ExportCell): ExportRow {
  const { variable_indices: _, prompts, ...cell } = found;
  return { ...cell, indices: axes.map((axis) => indexOn(axis, found)), prompts: readPrompts(prompts) };
}

const valueAt = ({ values }: ExportAxis, index: number | null | undefined): string | null =>
  index === null || index === undefined ? null : values[index]!;

/** Characters with which spreadsheets start a formula. */
const formulaStart = /^[=+\-@\t\r]/;

/**
 * Formats a CSV field (RFC 4180) that no spreadsheet evaluates.
 *
 * @example
 * ```ts
 * import { csvField } from "./export_rows.ts";
 * if (csvField('=1+"1"') !== `"'=1+""1"""` || csvField("a") !== "a") throw new Error();
 * ```
 */
export function csvField(text: string | null): string {
  if (text === null) return "";
  const safe = formulaStart.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) || safe !== safe.trim() ? `"${safe.replaceAll('"', '""')}"` : safe;
}

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
    "evaluations",
    "tags",
  ];
  return `${columns.map(csvField).join(",")}\r\n`;
}

/** Formats a row as a CSV line. */
export function csvRow(axes: ExportAxis[], row: ExportRow): string {
  const { distribution } = row;
  const fields = [
    String(row.cell),
    ...axes.map((axis, i) => csvField(valueAt(axis, row.indices[i]))),
    row.status,
    String(row.version),
    csvField(row.image),
    row.seed ?? "",
    csvField(row.ratio),
    csvField(row.prompts.join(", ")),
    csvField(row.error),
    row.mean === null ? "" : String(Number(row.mean.toFixed(4))),
    row.n === null ? "" : String(row.n),
    ...stars.map((_, i) => distribution ? String(distribution[i]) : ""),
    csvField(row.evaluations?.join("\n") ?? null),
    csvField(row.tags?.join(", ") ?? null),
  ];
  return `${fields.join(",")}\r\n`;
}

/** Formats a row as a JSON line. */
export function ndjsonRow(axes: ExportAxis[], row: ExportRow): string {
  const { cell, status, version, image, seed, ratio, prompts, error, mean, n, distribution } = row;
  const values = axes.map(({ axis, name }, i) => ({ axis, name, value: valueAt(axes[i]!, row.indices[i]) }));
  const before = JSON.stringify({ cell, axes: values, status, version, image });
  const after = JSON.stringify({
    ratio,
    prompts,
    error,
    mean,
    n,
    distribution,
    evaluations: row.evaluations ?? [],
    tags: row.tags ?? [],
  });
  // A seed may exceed the integer precision of a JavaScript number.
  return `${before.slice(0, -1)},"seed":${seed ?? "null"},${after.slice(1)}\n`;
}
