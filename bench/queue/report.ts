/** Figures with their goals: gathered by the parts of the queue bench, printed as a table or as JSON. */
import { print } from "../../process.ts";

export interface Goal {
  text: string;
  /** Undefined where this run was too short to tell. */
  met: boolean;
}

export interface Figure {
  what: string;
  value: number;
  unit: string;
  /** Least and most of the repetitions. */
  spread?: [number, number];
  goal?: Goal;
  /** What one should know to read it. */
  note?: string;
}

/** Takes a figure as soon as it is known. */
export type Report = (figure: Figure) => void;

const sorted = (values: number[]): number[] => values.toSorted((a, b) => a - b);
export function median(values: number[]): number {
  const all = sorted(values);
  const half = values.length / 2;
  return (all[Math.ceil(half) - 1]! + all[Math.floor(half)]!) / 2;
}
/** The value below which a share of them lie. */
export const rank = (values: number[], share: number): number =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))]!;
export const spreadOf = (values: number[]): [number, number] => [Math.min(...values), Math.max(...values)];

export const atMost = (value: number, most: number, unit: string): Goal => ({
  text: `≤ ${most} ${unit}`,
  met: value <= most,
});
export const atLeast = (value: number, least: number, unit: string): Goal => ({
  text: `≥ ${least} ${unit}`,
  met: value >= least,
});

const digits = (value: number): string =>
  value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);

/** One line of the table. */
export function formatFigure({ what, value, unit, spread, goal, note }: Figure): string {
  const parts = [what.padEnd(66), digits(value).padStart(8), unit.padEnd(7)];
  parts.push((spread ? `${digits(spread[0])}–${digits(spread[1])}` : "").padEnd(13));
  if (goal) parts.push(`${goal.text.padEnd(14)} ${goal.met ? "met" : "MISSED"}`);
  const line = parts.join(" ").trimEnd();
  return note === undefined ? line : `${line}\n    ${note}`;
}

/** Opens a report: lines at once, or JSON at the end. */
export function openReport(json: boolean) {
  const figures: Figure[] = [];
  const loads: number[] = [];
  return {
    add(figure: Figure): void {
      figures.push(figure);
      loads.push(Deno.loadavg()[0]!);
      if (!json) print(formatFigure(figure));
    },
    /** A heading, for eyes only. */
    head(text: string): void {
      if (!json) print(`\n${text}`);
    },
    end(seconds: number): void {
      const [least, most] = spreadOf([...loads, Deno.loadavg()[0]!]);
      const judged = figures.filter(({ goal }) => goal);
      const met = judged.filter(({ goal }) => goal!.met).length;
      const cores = navigator.hardwareConcurrency;
      if (json) {
        print(JSON.stringify({ figures, seconds, loads: [least, most], cores, met, goals: judged.length }));
        return;
      }
      print(
        `\n${met} of ${judged.length} goals met; ${Math.round(seconds)} s; ` +
          `load average ${digits(least)}–${digits(most)} on ${cores} cores`,
      );
    },
  };
}
