/** The object that `deno task bench all --json` prints. */
import type { Figure, RunReport } from "../report.ts";
import type { Machine } from "./machine.ts";

/** A figure with the name of its bench. */
export interface NamedFigure extends Figure {
  bench: string;
}

/** One run of a bench. */
export interface BenchRun {
  bench: string;
  /** Start, as ISO 8601. */
  at: string;
  /** Whether it ran with `--quick`. */
  quick: boolean;
  seconds: number;
  /** Load average of the machine over one minute at the start and at the end. The bench itself adds to the latter. */
  loads: [start: number, end: number];
  /** Numbers of goals, and of those that are met. */
  goals: number;
  met: number;
}

export interface AllResult {
  figures: NamedFigure[];
  goals: number;
  met: number;
  seconds: number;
  benches: BenchRun[];
  /** Benches that did not end with exit code 0. */
  failed: { bench: string; exitCode: number }[];
  cores: number;
  machine: Machine;
}

/** Returns the result without any bench. */
export const createResult = (machine: Machine, cores: number): AllResult => ({
  figures: [],
  goals: 0,
  met: 0,
  seconds: 0,
  benches: [],
  failed: [],
  cores,
  machine,
});

/** Returns a result with one more bench. */
export function addRun(
  result: AllResult,
  run: Pick<BenchRun, "bench" | "at" | "quick" | "seconds" | "loads">,
  { exitCode, report }: { exitCode: number; report?: RunReport },
): AllResult {
  const { bench, seconds } = run;
  const { figures = [], goals = 0, met = 0 } = report ?? {};
  return {
    ...result,
    figures: [...result.figures, ...figures.map((figure) => ({ bench, ...figure }))],
    goals: result.goals + goals,
    met: result.met + met,
    seconds: result.seconds + seconds,
    benches: report ? [...result.benches, { ...run, goals, met }] : result.benches,
    failed: exitCode === 0 && report ? result.failed : [...result.failed, { bench, exitCode }],
  };
}
