/** The axes of an exported task, and the place of a cell on them. */
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
export function indexOn(
  { axis, values, stride }: ExportAxis,
  { cell, variable_indices: indices }: ExportCell,
) {
  const stored = indices?.[axis === "repeat" ? 5 : Number(axis[1])] ?? undefined;
  if (stored !== undefined && stored >= 0 && stored < values.length) return stored;
  return stride === undefined ? null : Math.floor(cell / stride) % values.length;
}

/** Returns the text of an index; null if the index is unknown. */
export const valueAt = ({ values }: ExportAxis, index: number | null | undefined): string | null =>
  index === null || index === undefined ? null : values[index]!;
