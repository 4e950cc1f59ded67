/** The figures of the load bench: as tables for people, and with their goals for `--json`. */
import { formatTable } from "../../migrate/data/tools/format.ts";
import { print } from "../../process.ts";
import { atLeast, atMost, type Figure, median } from "../report.ts";
import { etaErrors, type Measured } from "./run.ts";

/** Values of one round by the name of the measurement. */
export type Values = Record<string, number>;

/** Durations and peak memory in MiB of one round. */
export interface Measures {
  seconds: Values;
  peaks: Values;
}

/** A row of the report. */
interface ReportRow {
  what: string;
  key: string;
  /** Measurement that the speed is compared with. */
  of: string;
  /** Minimum ratio. */
  goal?: number;
}

const reportRows: ReportRow[] = [
  { what: "psql COPY of the ready rows", key: "copy", of: "copy" },
  { what: "multi-row INSERT of the ready rows", key: "insert", of: "copy" },
  { what: "data load, JSON lines", key: "load", of: "copy", goal: 1.1 },
  { what: "data load, BSON", key: "bson", of: "copy", goal: 1.1 },
  { what: "data load, canonical lines", key: "canonical", of: "copy", goal: 0.7 },
  { what: "data load, mongod", key: "mongod", of: "copy", goal: 0.85 },
  { what: "data load, compared with INSERT", key: "load", of: "insert", goal: 3.5 },
  { what: "data verify, compared with load", key: "verify", of: "load", goal: 0.8 },
  { what: "load with 5 % rejected, compared with load", key: "poisoned", of: "load", goal: 0.95 },
];

const formatVerdict = (met: boolean) => met ? "met" : "missed";

/** A row of the report with its measurements. */
interface Summary extends ReportRow {
  seconds: number;
  ratios: number[];
  peak: number;
}

const summarize = (rounds: Measures[]): Summary[] =>
  reportRows.filter(({ key }) => rounds[0]!.seconds[key] !== undefined).map((row) => ({
    ...row,
    seconds: median(rounds.map((round) => round.seconds[row.key]!)),
    ratios: rounds.map((round) => round.seconds[row.of]! / round.seconds[row.key]!),
    peak: Math.max(...rounds.map(({ peaks }) => peaks[row.key] ?? 0)),
  }));

/** Returns the ratios as figures with their goals, and the highest memory. */
export const toFigures = (rounds: Measures[]): Figure[] =>
  summarize(rounds).flatMap(({ what, of, goal, ratios, peak }) => {
    const value = median(ratios);
    const spread: [number, number] = [Math.min(...ratios), Math.max(...ratios)];
    const ratio = { what: `${what}, speed as a multiple of ${of}`, value, unit: "×", spread };
    return [
      goal === undefined ? ratio : { ...ratio, goal: atLeast(value, goal, "×") },
      ...(peak === 0 ? [] : [{ what: `${what}, highest memory`, value: peak, unit: "MiB" }]),
    ];
  });

export function printTable(subtasks: number, rounds: Measures[]): void {
  const rows = summarize(rounds).map(({ what, goal, seconds, ratios, peak }) => [
    ...[what, seconds.toFixed(2), Math.round(subtasks / seconds), median(ratios).toFixed(2)],
    `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`,
    goal === undefined ? "" : `≥ ${goal}: ${formatVerdict(median(ratios) >= goal)}`,
    peak === 0 ? "" : `${Math.round(peak)} MiB`,
  ]);
  print(formatTable(["what", "seconds", "subtasks/s", "ratio", "range", "goal", "peak memory"], rows));
}

/** One load and one verify of more subtasks, for their memory and their estimates of the time left. */
export interface Big {
  subtasks: number;
  load: Measured;
  verify: Measured;
  copySeconds: number;
}

const percent = (share: number) => `${(share * 100).toFixed(0)} %`;

const peakMibMax = 220;
const etaErrorMax = 0.1;

/** Returns memory and errors of the estimates as figures with their goals. */
export const toBigFigures = ({ subtasks, load, verify }: Big): Figure[] =>
  Object.entries({ load, verify }).flatMap(([verb, measured]) => {
    const { peakMib } = measured;
    const { worst, reported } = etaErrors(measured);
    const what = `data ${verb} of ${subtasks.toLocaleString("en")}`;
    const percentOff = worst * 100;
    return [
      {
        what: `${what}, highest memory`,
        value: peakMib,
        unit: "MiB",
        goal: atMost(peakMib, peakMibMax, "MiB"),
      },
      ...(reported === 0 ? [] : [{
        what: `${what}, largest error of the time left after the first 5 %`,
        value: percentOff,
        unit: "%",
        goal: atMost(percentOff, etaErrorMax * 100, "%"),
      }]),
    ];
  });

export function printBig({ subtasks, load, verify, copySeconds }: Big, small: Measures[]): void {
  const peak = (key: string) => Math.round(median(small.map(({ peaks }) => peaks[key]!)));
  const n = subtasks.toLocaleString("en");
  const rows = (["load", "verify"] as const).map((verb) => {
    const { peakMib, seconds } = verb === "load" ? load : verify;
    const base = verb === "load" ? copySeconds : load.seconds;
    return [
      ...[`data ${verb} of ${n}`, seconds.toFixed(2), Math.round(subtasks / seconds)],
      `${(base / seconds).toFixed(2)} of ${verb === "load" ? "COPY" : "load"}`,
      `${peak(verb)} → ${Math.round(peakMib)} MiB`,
      `≤ ${peakMibMax}: ${formatVerdict(peakMib <= peakMibMax)}`,
    ];
  });
  const head = ["what", "seconds", "subtasks/s", "ratio", "peak memory, small → large", "goal"];
  print(`\n${formatTable(head, rows)}`);
  for (const [verb, measured] of Object.entries({ load, verify })) {
    const { shares, worst, reported } = etaErrors(measured);
    if (reported === 0) {
      print(`time left of a ${verb}: too few estimates to judge`);
      continue;
    }
    const each = shares.map(({ at, error }) =>
      `${percent(at)} ${error === undefined ? "–" : percent(error)}`
    );
    print(
      `time left of a ${verb}, error as a share of the duration: after ${each.join(", after ")}; maximum ${
        percent(worst)
      } of ${reported} estimates after 5 % (goal ≤ 10 %: ${formatVerdict(worst <= etaErrorMax)})`,
    );
  }
}
