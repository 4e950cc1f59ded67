/**
 * `deno task bench load`: measures `data load` of a generated dump in each form, and `data verify`. For comparison, psql
 * COPY and multi-row INSERT write the same rows to the same table. Memory and the estimates of the time left are
 * measured too. `--help` lists the options.
 */
import { Command } from "commander";
import { findMongoBinary } from "../../dev/servers/mongo.ts";
import { parseOptions } from "../../dev/command_line.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { formatTable } from "../../migrate/data/tools/format.ts";
import { print, printError, runMain } from "../../process.ts";
import { parseCount } from "../options.ts";
import { writeDump } from "./dump.ts";
import { fillMongo, writeBsonDump, writeCanonicalDump, writePoisoned } from "./forms.ts";
import {
  etaErrors,
  hasPsql,
  measureCopy,
  type Measured,
  measureInsert,
  onDatabase,
  runMigrate,
  saveRows,
  type Server,
} from "./run.ts";

const insertRowsMax = 50_000;

/** Paths and URL of the dump in each form. */
interface Sources {
  lines: string;
  canonical: string;
  bson: string;
  poisoned: string;
  mongod: string | undefined;
}

/** Values of one round by the name of the measurement. */
type Values = Record<string, number>;

/** Durations and peak memory in MiB of one round. */
interface Measures {
  seconds: Values;
  peaks: Values;
}

async function measureRound(
  server: Server,
  sources: Sources,
  rows: string,
  subtasks: number,
): Promise<Measures> {
  const seconds: Values = {};
  const peaks: Values = {};
  const record = (what: string, measured: Measured) => {
    seconds[what] = measured.seconds;
    peaks[what] = measured.peakMib;
  };
  await onDatabase(server, async (url, sql) => {
    record("load", await runMigrate(url, "load", sources.lines));
    await sql`checkpoint`;
    record("verify", await runMigrate(url, "verify", sources.lines));
    await saveRows(url, rows);
    seconds.copy = await measureCopy(sql, url, rows);
    seconds.insert = await measureInsert(sql, rows, Math.min(subtasks, insertRowsMax), subtasks);
  });
  for (const form of ["canonical", "bson", "mongod", "poisoned"] as const) {
    const from = sources[form];
    if (from) await onDatabase(server, async (url) => record(form, await runMigrate(url, "load", from)));
  }
  return { seconds, peaks };
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

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
  { what: "data load, JSON lines", key: "load", of: "copy", goal: 0.9 },
  { what: "data load, BSON", key: "bson", of: "copy", goal: 0.9 },
  { what: "data load, canonical lines", key: "canonical", of: "copy" },
  { what: "data load, mongod", key: "mongod", of: "copy" },
  { what: "data load, compared with INSERT", key: "load", of: "insert", goal: 3.5 },
  { what: "data verify, compared with load", key: "verify", of: "load", goal: 0.8 },
  { what: "load with 5 % rejected, compared with load", key: "poisoned", of: "load", goal: 0.8 },
];

const formatVerdict = (met: boolean) => met ? "met" : "missed";

function report(subtasks: number, rounds: Measures[]): void {
  const rows = reportRows.filter(({ key }) => rounds[0]!.seconds[key] !== undefined).map(
    ({ what, key, of, goal }) => {
      const seconds = median(rounds.map((round) => round.seconds[key]!));
      const ratios = rounds.map((round) => round.seconds[of]! / round.seconds[key]!);
      const peak = Math.max(...rounds.map(({ peaks }) => peaks[key] ?? 0));
      return [
        ...[what, seconds.toFixed(2), Math.round(subtasks / seconds), median(ratios).toFixed(2)],
        `${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)}`,
        goal === undefined ? "" : `≥ ${goal}: ${formatVerdict(median(ratios) >= goal)}`,
        peak === 0 ? "" : `${Math.round(peak)} MiB`,
      ];
    },
  );
  print(formatTable(["what", "seconds", "subtasks/s", "ratio", "range", "goal", "peak memory"], rows));
}

/** Measures one load and one verify of more subtasks, for their memory and their estimates of the time left. */
async function measureBig(
  server: Server,
  folder: string,
  subtasks: number,
  small: Measures[],
): Promise<void> {
  writeDump(folder, subtasks);
  const { load, verify, copy } = await onDatabase(server, async (url, sql) => {
    const load = await runMigrate(url, "load", folder);
    const verify = await runMigrate(url, "verify", folder);
    await saveRows(url, `${folder}/rows.copy`);
    return { load, verify, copy: await measureCopy(sql, url, `${folder}/rows.copy`) };
  });
  const peak = (key: string) => Math.round(median(small.map(({ peaks }) => peaks[key]!)));
  const n = subtasks.toLocaleString("en");
  const rows = (["load", "verify"] as const).map((verb) => {
    const { peakMib, seconds } = verb === "load" ? load : verify;
    return [
      ...[`data ${verb} of ${n}`, seconds.toFixed(2), Math.round(subtasks / seconds)],
      `${((verb === "load" ? copy : load.seconds) / seconds).toFixed(2)} of ${
        verb === "load" ? "COPY" : "load"
      }`,
      `${peak(verb)} → ${Math.round(peakMib)} MiB`,
      `≤ 256: ${formatVerdict(peakMib <= 256)}`,
    ];
  });
  print(
    `\n${
      formatTable(["what", "seconds", "subtasks/s", "ratio", "peak memory, small → large", "goal"], rows)
    }`,
  );
  for (const [verb, measured] of [["load", load], ["verify", verify]] as const) {
    const { shares, worst, reported } = etaErrors(measured);
    if (reported === 0) print(`time left of a ${verb}: too few estimates to judge`);
    else {
      const each = shares.map(({ at, error }) =>
        `${percent(at)} ${error === undefined ? "–" : percent(error)}`
      );
      print(
        `time left of a ${verb}, error as a share of the duration: after ${each.join(", after ")}; maximum ${
          percent(worst)
        } of ${reported} estimates after 5 % (goal ≤ 10 %: ${formatVerdict(worst <= 0.1)})`,
      );
    }
  }
}

const percent = (share: number) => `${(share * 100).toFixed(0)} %`;

interface Options {
  subtasks?: number;
  rounds?: number;
  times?: number;
  quick?: true;
}

const command = new Command("deno task bench load")
  .description("Measures `data load` and `data verify`, compared with psql COPY and multi-row INSERT.")
  .option("--subtasks <n>", "subtasks of the generated dump (default: 200000)", parseCount)
  .option("--rounds <n>", "measured rounds (default: 3)", parseCount)
  .option("--times <n>", "factor of the large dump, for memory and estimates (default: 10)", parseCount)
  .option("--quick", "20,000 subtasks, one round and a factor of 2");

async function measureAll(server: Server, folder: string, options: Options): Promise<void> {
  const quick = options.quick ?? false;
  const subtasks = options.subtasks ?? (quick ? 20_000 : 200_000);
  const rounds = options.rounds ?? (quick ? 1 : 3);
  const times = options.times ?? (quick ? 2 : 10);
  const sources: Sources = {
    lines: `${folder}/lines`,
    canonical: `${folder}/canonical`,
    bson: `${folder}/bson`,
    poisoned: `${folder}/poisoned`,
    mongod: undefined,
  };
  const bytes = writeDump(sources.lines, subtasks);
  const size = `${(bytes / 2 ** 20).toFixed(0)} MiB as mongoexport writes it`;
  print(
    `${subtasks.toLocaleString("en")} subtasks, ${size}, ${rounds} round(s), medians of the ratios per round`,
  );
  await writeCanonicalDump(sources.lines, sources.canonical);
  await writeBsonDump(sources.lines, sources.bson);
  await writePoisoned(sources.lines, sources.poisoned);
  const binary = await findMongoBinary(printError);
  await using mongod = binary ? await fillMongo(binary, sources.lines) : undefined;
  if (mongod) sources.mongod = mongod.url;
  else print("no mongod is available: this form is omitted");
  const rows = `${folder}/rows.copy`;
  // An unmeasured round lets the server's files grow first.
  if (!quick) {
    await measureRound(
      server,
      { ...sources, canonical: "", bson: "", mongod: "", poisoned: "" },
      rows,
      subtasks,
    );
  }
  const measured: Measures[] = [];
  for (let round = 0; round < rounds; round++) {
    measured.push(await measureRound(server, sources, rows, subtasks));
  }
  report(subtasks, measured);
  if (times > 1) await measureBig(server, `${folder}/big`, subtasks * times, measured);
  print(
    `\n${navigator.hardwareConcurrency} cores, load ${
      Deno.loadavg().map((load) => load.toFixed(1)).join(" ")
    }`,
  );
}

async function main(): Promise<number> {
  const options = parseOptions<Options>(command, Deno.args);
  if (!options) return 0;
  if (!await hasPsql()) {
    printError("bench load needs psql on PATH for its comparison: apt-get install postgresql-client");
    return 69;
  }
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  // The cluster needs its own folder, which the server's account can enter.
  const cluster = await Deno.makeTempDir({ prefix: "contactsheet-bench-pg-" });
  try {
    await using server = await startPostgres({ folder: cluster, keep: false });
    await measureAll(server, folder, options);
    return 0;
  } finally {
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}

if (import.meta.main) await runMain(main);
