/** The view of a run in the query of its address. */
import { query, setQuery } from "../../kit/router.tsx";
import type { Axis, Cut, Matrix, Place } from "../../matrix/geometry.ts";
import { labelOf } from "../../matrix/names.ts";
import { matrixTexts } from "../../matrix/texts.ts";
import { type Lens, lenses } from "../../matrix/painter.ts";
import type { Run } from "./run_state.ts";

/** Edges of a cell in CSS pixels. */
export const zooms = [32, 48, 64, 96, 128, 192, 256] as const;

export interface ViewState extends Cut {
  lens: Lens;
  zoom: number;
  /** The cell whose details are open. */
  cell: number | undefined;
  /** The first visible cell. */
  start: Place;
}

/** Returns the matrix of a run with the texts of its values. */
export function toMatrix({ axes, blocks, cells }: Run): Matrix {
  return {
    axes: axes.map(({ axis, name, values, length }): Axis => ({
      key: axis,
      name: name || axis,
      labels: Array.from(
        { length },
        (_, i) => values && i < values.length ? labelOf(values[i]) : matrixTexts.value.number(i + 1),
      ),
    })),
    blocks,
    total: cells.total,
  };
}

/** Chooses the axes of a run that is opened for the first time: the last one in columns, the longest other one in rows. */
function chooseAxes(axes: readonly Axis[]): Pick<Cut, "x" | "y"> {
  const long = axes.filter(({ labels }) => labels.length > 1);
  const x = long.at(-1) ?? axes.at(-1);
  const others = long.filter((axis) => axis !== x);
  const y = others.toSorted((a, b) => b.labels.length - a.labels.length)[0];
  return { x: x?.key ?? "", y: y?.key ?? "" };
}

/** Parses `v1:3,v3:0`. Indices beyond an axis are left out. */
function parseAt(text: string, axes: readonly Axis[]): Record<string, number> {
  const at: Record<string, number> = {};
  for (const part of text.split(",")) {
    const [key, index] = part.split(":");
    const axis = axes.find((one) => one.key === key);
    const number = Number(index);
    if (axis && Number.isInteger(number) && number >= 0 && number < axis.labels.length) at[axis.key] = number;
  }
  return at;
}

/** Reads the view from the address. What it does not name, or names wrongly, has its default. */
export function readView({ axes, total }: Matrix): ViewState {
  const given = query.value;
  const defaults = chooseAxes(axes);
  const has = (key: string | null): key is string => axes.some((axis) => axis.key === key);
  const [askedX, askedY] = [given.get("x"), given.get("y")];
  const x = has(askedX) ? askedX : defaults.x === askedY ? defaults.y : defaults.x;
  const y = askedY === "none"
    ? ""
    : has(askedY) && askedY !== x
    ? askedY
    : defaults.y === x
    ? defaults.x
    : defaults.y;
  const zoom = Number(given.get("zoom"));
  const cell = given.get("cell");
  const number = Number(cell);
  const [row, column] = (given.get("start") ?? "").split(".");
  return {
    x,
    y: y === x ? "" : y,
    at: parseAt(given.get("at") ?? "", axes),
    lens: lenses.find((lens) => lens === given.get("lens")) ?? "image",
    zoom: zooms.find((one) => one === zoom) ?? 96,
    start: { row: Number(row) || 0, column: Number(column) || 0 },
    cell: cell !== null && /^\d+$/.test(cell) && number < total ? number : undefined,
  };
}

/** Puts changes of the view into the address. */
export function changeView(changes: Partial<ViewState>): void {
  const { x, y, at, lens, zoom, start } = changes;
  const query: Record<string, string | undefined> = {};
  if (x !== undefined) query.x = x;
  if (y !== undefined) query.y = y === "" ? "none" : y;
  if (at) query.at = Object.entries(at).map(([key, index]) => `${key}:${index}`).join();
  if (lens) query.lens = lens === "image" ? undefined : lens;
  if (zoom) query.zoom = zoom === 96 ? undefined : String(zoom);
  if (start) query.start = start.row + start.column === 0 ? undefined : `${start.row}.${start.column}`;
  if ("cell" in changes) query.cell = changes.cell === undefined ? undefined : String(changes.cell);
  setQuery(query);
}

/** Returns the next larger or smaller size. */
export function stepZoom(zoom: number, step: number): number {
  const index = zooms.indexOf(zoom as (typeof zooms)[number]) + step;
  return zooms[Math.min(zooms.length - 1, Math.max(0, index))]!;
}
