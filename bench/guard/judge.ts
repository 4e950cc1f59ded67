/** Judges the figures of two commits. */
import { type Figure, median } from "../report.ts";

/** A loss is a figure that is worse by more than this share. */
export const lossMax = 0.15;

const lowerIsBetter = ["ms", "s", "KB", "MB", "MiB"];
const higherIsBetter = ["×", "fps"];

/** Returns whether more of a unit is better; undefined if that depends on the figure. */
export function isMoreBetter(unit: string): boolean | undefined {
  if (unit.endsWith("/s") || higherIsBetter.includes(unit)) return true;
  return lowerIsBetter.includes(unit) ? false : undefined;
}

/**
 * - `same`: within 15 % in either direction
 * - `better`: better by more than that
 * - `loss`: worse by more than 15 %, not measured again yet
 * - `loss repeated`, `loss not repeated`: the same after it was measured again
 * - `only in base`, `only in head`: the other commit has no figure of this name
 * - `not judged`: more of the unit is neither better nor worse
 */
export type Verdict =
  | "same"
  | "better"
  | "loss"
  | "loss repeated"
  | "loss not repeated"
  | "only in base"
  | "only in head"
  | "not judged";

/** A figure of both commits. */
export interface Row {
  /** Name of the measure that gave it. */
  measure: string;
  what: string;
  unit: string;
  /** Medians. */
  base?: number;
  head?: number;
  /** Head compared with base; above 1 is better. */
  ratio?: number;
  /** The same of the second measurement. */
  ratioAgain?: number;
  verdict: Verdict;
}

/** The figures of a measure, from every round. */
export interface Sides {
  base: Figure[];
  head: Figure[];
}

function ratioOf(base: number, head: number, unit: string): number | undefined {
  const isMore = isMoreBetter(unit);
  if (isMore === undefined) return undefined;
  if (base === head) return 1;
  return isMore ? head / base : base / head;
}

function toVerdict(ratio: number | undefined): Verdict {
  if (ratio === undefined) return "not judged";
  if (ratio < 1 - lossMax) return "loss";
  return ratio > 1 / (1 - lossMax) ? "better" : "same";
}

/** Compares the medians of figures of the same name and unit. */
export function compare(measure: string, { base, head }: Sides): Row[] {
  const keyOf = ({ what, unit }: Figure) => JSON.stringify([what, unit]);
  const keys = new Set([...base, ...head].map(keyOf));
  return [...keys].map((key): Row => {
    const [what, unit] = JSON.parse(key) as [string, string];
    const valuesOf = (figures: Figure[]) =>
      figures.filter((figure) => keyOf(figure) === key).map(({ value }) => value);
    const [ofBase, ofHead] = [valuesOf(base), valuesOf(head)];
    if (ofHead.length === 0) return { measure, what, unit, base: median(ofBase), verdict: "only in base" };
    if (ofBase.length === 0) return { measure, what, unit, head: median(ofHead), verdict: "only in head" };
    const row = { measure, what, unit, base: median(ofBase), head: median(ofHead) };
    const ratio = ratioOf(row.base, row.head, unit);
    return { ...row, ...(ratio === undefined ? {} : { ratio }), verdict: toVerdict(ratio) };
  });
}

/** Returns the measures to repeat. */
export const listSuspects = (rows: Row[]): string[] => [
  ...new Set(rows.filter(({ verdict }) => verdict === "loss").map(({ measure }) => measure)),
];

/** Judges losses by a second measurement: only one that it shows too is `loss repeated`. */
export function judgeAgain(rows: Row[], again: Row[]): Row[] {
  return rows.map((row) => {
    if (row.verdict !== "loss") return row;
    const second = again.find((one) =>
      one.measure === row.measure && one.what === row.what && one.unit === row.unit
    );
    const ratioAgain = second?.ratio;
    const verdict = ratioAgain !== undefined && toVerdict(ratioAgain) === "loss"
      ? "loss repeated"
      : "loss not repeated";
    return { ...row, ...(ratioAgain === undefined ? {} : { ratioAgain }), verdict };
  });
}
