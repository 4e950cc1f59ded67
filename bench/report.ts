/** The figures of a bench with their goals, printed as a table or as JSON. */
import { AppError } from "../errors.ts";
import { print } from "../process.ts";

/** A goal and whether the figure meets it. */
export interface Goal {
  text: string;
  met: boolean;
}

/** One measured value. */
export interface Figure {
  what: string;
  value: number;
  unit: string;
  /** Minimum and maximum of the repetitions. */
  spread?: [number, number];
  goal?: Goal;
  /** Explanation that is printed below the figure. */
  note?: string;
  /** Left out of docs/benches.md. */
  minor?: true;
}

/** Adds a figure to the report. */
export type Report = (figure: Figure) => void;

const sorted = (values: number[]): number[] => values.toSorted((a, b) => a - b);

/** Returns the median. */
export function median(values: number[]): number {
  const all = sorted(values);
  const half = values.length / 2;
  return (all[Math.ceil(half) - 1]! + all[Math.floor(half)]!) / 2;
}

/** Returns the smallest value with at least `share` of the values below it, or the largest value. */
export const quantile = (values: number[], share: number): number =>
  sorted(values)[Math.min(values.length - 1, Math.floor(values.length * share))]!;

/** Returns the minimum and the maximum. */
export const rangeOf = (values: number[]): [number, number] => [Math.min(...values), Math.max(...values)];

/** Returns a goal that holds up to a maximum. */
export const atMost = (value: number, max: number, unit: string): Goal => ({
  text: `≤ ${max} ${unit}`,
  met: value <= max,
});

/** Returns a goal that holds from a minimum. */
export const atLeast = (value: number, min: number, unit: string): Goal => ({
  text: `≥ ${min} ${unit}`,
  met: value >= min,
});

const digits = (value: number): string =>
  value.toFixed(Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);

/** Formats a figure as one line of the table, followed by its note. */
export function formatFigure({ what, value, unit, spread, goal, note }: Figure): string {
  const parts = [what.padEnd(66), digits(value).padStart(8), unit.padEnd(7)];
  parts.push((spread ? `${digits(spread[0])}–${digits(spread[1])}` : "").padEnd(13));
  if (goal) parts.push(`${goal.text.padEnd(14)} ${goal.met ? "met" : "MISSED"}`);
  const line = parts.join(" ").trimEnd();
  return note === undefined ? line : `${line}\n    ${note}`;
}

/** What a bench prints with `--json`. */
export interface RunReport {
  figures: Figure[];
  seconds: number;
  /** Lowest and highest load average of the machine over one minute. */
  loads: [number, number];
  cores: number;
  met: number;
  goals: number;
}

/** Reads the report on the last line of a bench's output. @returns undefined if it has none */
export function parseReport(output: string): RunReport | undefined {
  const line = output.trimEnd().split("\n").at(-1) ?? "";
  try {
    const report = JSON.parse(line) as Partial<RunReport> | null;
    return Array.isArray(report?.figures) ? report as RunReport : undefined;
  } catch {
    return undefined;
  }
}

/** Opens a report that prints each figure at once, or all of them as JSON at the end. */
export function openReport(json: boolean) {
  const figures: Figure[] = [];
  const loads: number[] = [];
  const unmeasured: string[] = [];
  return {
    /** Adds a figure. One without a value, such as the median of nothing, becomes a failure of the bench at its end. */
    add(figure: Figure): void {
      if (!Number.isFinite(figure.value)) {
        unmeasured.push(figure.what);
        return;
      }
      figures.push(figure);
      loads.push(Deno.loadavg()[0]!);
      if (!json) print(formatFigure(figure));
    },
    /** Prints a heading unless the report is JSON. */
    heading(text: string): void {
      if (!json) print(`\n${text}`);
    },
    /** Prints the summary. @throws AppError internal if a figure has no value */
    end(seconds: number): void {
      const [loadMin, loadMax] = rangeOf([...loads, Deno.loadavg()[0]!]);
      const judged = figures.filter(({ goal }) => goal);
      const met = judged.filter(({ goal }) => goal!.met).length;
      const cores = navigator.hardwareConcurrency;
      const report: RunReport = {
        figures,
        seconds,
        loads: [loadMin, loadMax],
        cores,
        met,
        goals: judged.length,
      };
      if (json) print(JSON.stringify(report));
      else {
        print(
          `\n${met} of ${judged.length} goals met; ${Math.round(seconds)} s; ` +
            `load average ${digits(loadMin)}–${digits(loadMax)} on ${cores} cores`,
        );
      }
      if (unmeasured.length > 0) throw new AppError("internal", `not measured: ${unmeasured.join("; ")}`);
    },
  };
}
