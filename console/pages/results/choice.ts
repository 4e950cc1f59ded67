/** The selected measure and axes in the query of the address, and the addresses of slices of the matrix. */
import { query } from "../../kit/router.tsx";
import type { Run } from "../run/run_state.ts";
import { type Measure, measureNames } from "./measures.ts";

export type RunAxis = Run["axes"][number];

export interface Choice {
  measure: Measure;
  /** Axes of which v2 makes statistics: those with values of the run. */
  axes: readonly RunAxis[];
  axis: RunAxis;
  /** The second axis; undefined for none. */
  by: RunAxis | undefined;
  /** Axes that may be the second one. */
  others: readonly RunAxis[];
  /** Index of the level with which the others are compared. */
  baseline: number;
  isBestFirst: boolean;
}

/** Number of combinations up to which a second axis is chosen without being asked for. */
const fieldsMax = 400;

const contentTypes = ["prompt", "character", "seed"];

/** Reports whether an axis is a parameter to compare, and neither content nor repetition. */
const isTreatment = ({ role, types, length }: RunAxis): boolean =>
  length > 1 && (role ? role === "treatment" : !types.some((type) => contentTypes.includes(type)));

/** Reads the choice from the address. What it does not name, or names wrongly, has its default. */
export function readChoice(run: Run): Choice | undefined {
  const given = query.value;
  const axes = run.axes.filter(({ axis }) => /^v\d$/.test(axis));
  const find = (list: RunAxis[], name: string) => list.find(({ axis }) => axis === given.get(name));
  const axis = find(axes, "axis") ?? axes.find(isTreatment) ?? axes.find(({ length }) => length > 1) ??
    axes[0];
  if (!axis) return undefined;
  const others = axes.filter((one) => one !== axis && one.length > 1);
  const by = given.has("by")
    ? find(others, "by")
    : others.find((one) => isTreatment(one) && one.length * axis.length <= fieldsMax);
  return {
    measure: measureNames.find((one) => one === given.get("measure")) ?? "mean",
    axes,
    axis,
    by,
    others,
    baseline: Number(given.get("baseline")),
    isBestFirst: given.get("order") === "best",
  };
}

/** Returns the address of the matrix of a run, cut at levels. @param at axes with indices: columns before rows */
export function sliceOf(run: Run, at: readonly (readonly [string, number])[]): string {
  const free = run.axes.filter(({ axis, length }) => length > 1 && !at.some(([fixed]) => fixed === axis));
  const x = free.at(-1);
  const y = free.filter((axis) => axis !== x).toSorted((a, b) => b.length - a.length)[0];
  const [columns, rows] = at;
  // Where no axis is left over, the view of all cells starts at the wanted one.
  const view: Record<string, string> = x
    ? { x: x.axis, y: y?.axis ?? "none", at: at.map((part) => part.join(":")).join() }
    : { x: columns![0], y: rows?.[0] ?? "none", start: `${rows?.[1] ?? 0}.${columns![1]}` };
  return `/runs/${run.id}?${new URLSearchParams(view)}`;
}
