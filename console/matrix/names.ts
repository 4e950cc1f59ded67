/** Texts of values and names of cells. */
import { common } from "../kit/texts.ts";
import type { State } from "../kit/status.tsx";
import { matrixTexts } from "./texts.ts";

/** Fields of an object value that name it, by preference. */
const nameFields = ["name", "display_name", "label", "value", "text"];
const labelMax = 300;

/** Returns the text of a value of an axis, which may be any JSON. */
export function labelOf(value: unknown): string {
  if (typeof value === "string") return value.trim() === "" ? matrixTexts.value.empty : value;
  if (typeof value !== "object" || value === null) return String(value);
  const fields = value as Record<string, unknown>;
  const named = nameFields.map((key) => fields[key]).find((one) => typeof one === "string" && one !== "");
  return typeof named === "string" ? named : JSON.stringify(value).slice(0, labelMax);
}

/** Returns a label with the name of its axis where the label alone says little: seed 11. */
export const withAxis = (axis: string, label: string): string =>
  label !== "" && axis !== "" && /^[#\d.,:x×\s-]+$/.test(label) ? `${axis} ${label}` : label;

/** Returns the name of a cell for a screen reader: row a cat, column seed 11, completed, rated 4. */
export function nameCell(
  { row, column, state, tenths, isSelected }: {
    row: string;
    column: string;
    state: State | undefined;
    /** Ten times the mean rating, 0 without one. */
    tenths: number;
    isSelected: boolean;
  },
): string {
  const t = matrixTexts.value;
  const parts = [state ? common.value.states[state] : t.none];
  if (tenths > 0) parts.push(t.rated(tenths / 10));
  if (isSelected) parts.push(t.selected);
  return t.cell(row, column, parts.join(", "));
}
