/**
 * How fast a dump comes in: `data load` of generated subtasks beside psql COPY of the ready rows into the same
 * table with its keys, and `data verify`, on one server in one run. `--subtasks 200000 --runs 1`
 */
import { connect, type Pool } from "../db/connect.ts";
import { startPostgres } from "../dev/postgres.ts";
import { subtaskColumns } from "../migrate/data/lens/subtasks.ts";
import { formatTable } from "../migrate/data/status.ts";
import { migrateUp } from "../migrate/schema/runner.ts";
import { print, printError, runMain } from "../process.ts";
import { writeDump } from "./load_dump.ts";

const mainPath = new URL("../migrate/main.ts", import.meta.url).pathname;

interface Measured {
  seconds: number;
  /** Highest resident memory of the process, in MiB. */
  peakMib: number;
  out: string;
}

/** Highest resident memory so far; 0 where the system does not say. */
function peakOf(pid: number): number {
  try {
    const kib = /VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
    return Number(kib ?? 0) / 1024;
  } catch {
    return 0;
  }
}

async function measure(command: string, args: string[], env: Record<string, string>): Promise<Measured> {
  const started = performance.now();
  const child = new Deno.Command(command, { args, env, stdout: "piped", stderr: "inherit" }).spawn();
  let peakMib = 0;
  const timer = setInterval(() => peakMib = Math.max(peakMib, peakOf(child.pid)), 20);
  const { code, stdout } = await child.output();
  clearInterval(timer);
  const out = new TextDecoder().decode(stdout);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${out}`);
  return { seconds: (performance.now() - started) / 1000, peakMib, out };
}

/** What `deno task migrate` says to V8: the memory measured is a user's. */
async function readFlags(): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../deno.json", import.meta.url)));
  return tasks.migrate.command.split(" ").filter((word: string) => word.startsWith("--v8-flags"));
}

const runMigrate = async (url: string, args: string[]) =>
  await measure(
    Deno.execPath(),
    ["run", "-A", ...await readFlags(), mainPath, "data", ...args, "--quiet", "--json"],
    { DATABASE_URL: url },
  );

async function hasPsql(): Promise<boolean> {
  return await new Deno.Command("psql", { args: ["--version"] }).output().then(
    ({ success }) => success,
    () => false,
  );
}

/** COPY of the rows that are there, out to a file, the table emptied, and in again. */
async function measureCopy(sql: Pool, url: string, file: string): Promise<number> {
  const columns = subtaskColumns.join();
  const psql = (command: string) => measure("psql", [url, "-qXc", command], {});
  await psql(`\\copy (select ${columns} from subtasks) to '${file}'`);
  await sql`truncate subtasks cascade`;
  await sql`checkpoint`;
  const { seconds } = await psql(`\\copy subtasks (${columns}) from '${file}'`);
  await Deno.remove(file);
  return seconds;
}

interface Run {
  load: number;
  loadPeak: number;
  copy: number;
  verify: number;
  verifyPeak: number;
}

async function runOnce(server: { url(name: string): string }, folder: string, name: string): Promise<Run> {
  const admin = connect(server.url("postgres"), { max: 1 });
  await admin`create database ${admin(name)}`;
  const url = server.url(name);
  const sql = connect(url, { max: 1 });
  try {
    await migrateUp(sql);
    await sql`checkpoint`;
    const loaded = await runMigrate(url, ["load", "--from", folder]);
    const { seconds: load } = JSON.parse(loaded.out);
    await sql`checkpoint`;
    const verified = await runMigrate(url, ["verify", "--from", folder]);
    const { differences, seconds: verify } = JSON.parse(verified.out);
    if (differences !== 0) throw new Error(`verify found ${differences} differences`);
    const copy = await measureCopy(sql, url, `${folder}/rows.copy`);
    return { load, loadPeak: loaded.peakMib, copy, verify, verifyPeak: verified.peakMib };
  } finally {
    await sql.end();
    await admin`drop database ${admin(name)} with (force)`;
    await admin.end();
  }
}

function flag(name: string, standard: number): number {
  const at = Deno.args.indexOf(`--${name}`);
  const value = at < 0 ? standard : Number(Deno.args[at + 1]);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name}: wanted a whole number from 1`);
  return value;
}

const median = (values: number[]) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;

function report(subtasks: number, runs: Run[]): void {
  const [load, copy, verify] = [
    median(runs.map((run) => run.load)),
    median(runs.map((run) => run.copy)),
    median(runs.map((run) => run.verify)),
  ];
  const rate = (seconds: number) => Math.round(subtasks / seconds);
  const mib = (peak: (run: Run) => number) => `${Math.round(Math.max(...runs.map(peak)))} MiB`;
  print(formatTable(["what", "seconds", "subtasks/s", "ratio", "peak memory"], [
    ["psql COPY of the ready rows", copy.toFixed(2), rate(copy), "1.00", ""],
    [
      "data load",
      load.toFixed(2),
      rate(load),
      `${(copy / load).toFixed(2)} of COPY`,
      mib((run) => run.loadPeak),
    ],
    [
      "data verify",
      verify.toFixed(2),
      rate(verify),
      `${(load / verify).toFixed(2)} of load`,
      mib((run) => run.verifyPeak),
    ],
  ]));
}

async function main(): Promise<number> {
  const [subtasks, runs] = [flag("subtasks", 200_000), flag("runs", 1)];
  if (!await hasPsql()) {
    printError("bench load needs psql on PATH to compare with: apt-get install postgresql-client");
    return 69;
  }
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  // A folder of its own: the server's account must get in.
  const cluster = await Deno.makeTempDir({ prefix: "contactsheet-bench-pg-" });
  try {
    await using server = await startPostgres({ folder: cluster, keep: false });
    const bytes = writeDump(`${folder}/dump`, subtasks);
    print(
      `${subtasks} subtasks, ${
        (bytes / 2 ** 20).toFixed(0)
      } MiB as mongoexport writes them, ${runs} run(s), medians`,
    );
    // The first run makes the server's files grow, which none of the later ones pays for.
    await runOnce(server, `${folder}/dump`, "bench_warm");
    const measured: Run[] = [];
    for (let run = 0; run < runs; run++) {
      measured.push(await runOnce(server, `${folder}/dump`, `bench_${run}`));
    }
    report(subtasks, measured);
    return 0;
  } finally {
    await Deno.remove(folder, { recursive: true }).catch(() => {});
  }
}

if (import.meta.main) await runMain(main);
