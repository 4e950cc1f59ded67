/** A cell as a row of an export: what each format writes in its own way. */
import type { ExportCell, ExportHead } from "../../../db/views/export.ts";
import { type Json, parseJson, stringifyJson } from "../../../json.ts";

/** `v0` to `v5` with the texts of its values, or `repeat` where a combination was drawn more than once. */
export interface ExportAxis {
  axis: string;
  name: string;
  values: string[];
  /** How many cells pass before the place moves on; undefined where places do not follow from the cell's. */
  stride: number | undefined;
}

export interface ExportRow extends Omit<ExportCell, "variable_indices" | "prompts"> {
  /** By axis; null where it cannot be told. */
  places: (number | null)[];
  prompts: string[];
}

const uuidForm = /^[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

/** What people know a value by: its text; a name where the value is but an id. */
function textOf(value: Json | undefined): string {
  if (typeof value === "string") return value;
  if (!(value instanceof Map)) return value === undefined || value === null ? "" : stringifyJson(value);
  const own = value.get("value");
  const name = value.get("name");
  if (typeof name === "string" && name !== "" && (typeof own !== "string" || uuidForm.test(own))) return name;
  return own === undefined ? stringifyJson(value) : textOf(own);
}

/** The axes of a task that have values, slowest first. */
export function readAxes(
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

function placeOn({ axis, values, stride }: ExportAxis, { cell, variable_indices: indices }: ExportCell) {
  const told = indices?.[axis === "repeat" ? 5 : Number(axis[1])] ?? undefined;
  if (told !== undefined && told >= 0 && told < values.length) return told;
  return stride === undefined ? null : Math.floor(cell / stride) % values.length;
}

/** The words of a prompt's entries: free text as it is, characters and elements by name. */
function readPrompts(text: string | null): string[] {
  const entries: unknown = text === null ? [] : JSON.parse(text);
  if (!Array.isArray(entries)) return [];
  return entries.flatMap((entry) => {
    const said = entry?.type === "freetext" ? entry.value : entry?.name ?? entry?.value;
    return said === undefined || said === null || said === "" ? [] : [String(said)];
  });
}

export function toRow(axes: ExportAxis[], found: ExportCell): ExportRow {
  const { variable_indices: _, prompts, ...cell } = found;
  return { ...cell, places: axes.map((axis) => placeOn(axis, found)), prompts: readPrompts(prompts) };
}

const valueAt = ({ values }: ExportAxis, place: number | null | undefined): string | null =>
  place === null || place === undefined ? null : values[place]!;

/** Spreadsheets take these for the start of a formula. */
const formula = /^[=+\-@\t\r]/;

/**
 * A text as a field of CSV (RFC 4180) that no spreadsheet computes.
 *
 * @example
 * ```ts
 * import { csvField } from "./export_rows.ts";
 * if (csvField('=1+"1"') !== `"'=1+""1"""` || csvField("a") !== "a") throw new Error();
 * ```
 */
export function csvField(text: string | null): string {
  if (text === null) return "";
  const tame = formula.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(tame) || tame !== tame.trim() ? `"${tame.replaceAll('"', '""')}"` : tame;
}

const stars = [1, 2, 3, 4, 5];

export function csvHead(axes: ExportAxis[]): string {
  const names = axes.map(({ axis, name }) => axis === name ? axis : `${axis} ${name}`);
  const columns = [
    ...["cell", ...names, "status", "version", "image", "seed", "ratio", "prompts", "error", "mean", "n"],
    ...stars.map((star) => `stars_${star}`),
    ...["evaluations", "tags"],
  ];
  return `${columns.map(csvField).join(",")}\r\n`;
}

export function csvRow(axes: ExportAxis[], row: ExportRow): string {
  const { distribution } = row;
  const fields = [
    String(row.cell),
    ...axes.map((axis, i) => csvField(valueAt(axis, row.places[i]))),
    ...[row.status, String(row.version), csvField(row.image), row.seed ?? "", csvField(row.ratio)],
    ...[csvField(row.prompts.join(", ")), csvField(row.error)],
    row.mean === null ? "" : String(Number(row.mean.toFixed(4))),
    row.n === null ? "" : String(row.n),
    ...stars.map((_, i) => distribution ? String(distribution[i]) : ""),
    csvField(row.evaluations?.join("\n") ?? null),
    csvField(row.tags?.join(", ") ?? null),
  ];
  return `${fields.join(",")}\r\n`;
}

export function ndjsonRow(axes: ExportAxis[], row: ExportRow): string {
  const { cell, status, version, image, seed, ratio, prompts, error, mean, n, distribution } = row;
  const values = axes.map(({ axis, name }, i) => ({ axis, name, value: valueAt(axes[i]!, row.places[i]) }));
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
  // A seed may have more digits than a number here holds.
  return `${before.slice(0, -1)},"seed":${seed ?? "null"},${after.slice(1)}\n`;
}
