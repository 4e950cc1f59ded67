/**
 * `deno task bench load`: measures `data load` of a generated dump in each form, and `data verify`. For comparison, psql
 * COPY and multi-row INSERT write the same rows to the same table. Memory and the estimates of the time left are
 * measured too. `--help` lists the options.
 */
import { Command } from "commander";
import { findMongoBinary } from "../../dev/servers/mongo.ts";
import { parseOptions } from "../../dev/command_line.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { print, printError, runMain } from "../../process.ts";
import { parseCount } from "../options.ts";
import { openReport } from "../report.ts";
import {
  type Big,
  type Measures,
  printBig,
  printTable,
  toBigFigures,
  toFigures,
  type Values,
} from "./report.ts";
import { writeDump } from "./dump.ts";
import { fillMongo, writeBsonDump, writeCanonicalDump, writePoisoned } from "./forms.ts";
import {
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

async function measureBig(server: Server, folder: string, subtasks: number): Promise<Big> {
  writeDump(folder, subtasks);
  return await onDatabase(server, async (url, sql) => {
    const load = await runMigrate(url, "load", folder);
    const verify = await runMigrate(url, "verify", folder);
    await saveRows(url, `${folder}/rows.copy`);
    return { subtasks, load, verify, copySeconds: await measureCopy(sql, url, `${folder}/rows.copy`) };
  });
}

interface Options {
  subtasks?: number;
  rounds?: number;
  times?: number;
  quick?: true;
  json?: true;
}

const command = new Command("deno task bench load")
  .description("Measures `data load` and `data verify`, compared with psql COPY and multi-row INSERT.")
  .option("--subtasks <n>", "subtasks of the generated dump (default: 200000)", parseCount)
  .option("--rounds <n>", "measured rounds (default: 3)", parseCount)
  .option("--times <n>", "factor of the large dump, for memory and estimates (default: 10)", parseCount)
  .option("--quick", "20,000 subtasks, one round and a factor of 2")
  .option("--json", "print one line of JSON");

async function measureAll(server: Server, folder: string, options: Options): Promise<void> {
  const started = performance.now();
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
  const note = options.json ? printError : print;
  note(
    `${subtasks.toLocaleString("en")} subtasks, ${size}, ${rounds} round(s), medians of the ratios per round`,
  );
  await writeCanonicalDump(sources.lines, sources.canonical);
  await writeBsonDump(sources.lines, sources.bson);
  await writePoisoned(sources.lines, sources.poisoned);
  const binary = await findMongoBinary(printError);
  await using mongod = binary ? await fillMongo(binary, sources.lines) : undefined;
  if (mongod) sources.mongod = mongod.url;
  else note("no mongod is available: this form is omitted");
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
  const big = times > 1 ? await measureBig(server, `${folder}/big`, subtasks * times) : undefined;
  if (options.json) {
    const report = openReport(true);
    for (const figure of [...toFigures(measured), ...(big ? toBigFigures(big) : [])]) report.add(figure);
    return report.end((performance.now() - started) / 1000);
  }
  printTable(subtasks, measured);
  if (big) printBig(big, measured);
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
