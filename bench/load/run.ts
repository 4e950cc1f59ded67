/** Measured commands on their own databases: the migrator as a user starts it, psql, and multi-row INSERT. */
import { connect, type Pool } from "../../db/pg/connect.ts";
import { decodeLine } from "../../migrate/data/tools/copy.ts";
import { subtaskColumns } from "../../migrate/data/lens/subtasks.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";

const mainPath = new URL("../../migrate/main.ts", import.meta.url).pathname;

/** A PostgreSQL server. */
export interface Server {
  url(name: string): string;
}

/** The result of a command. */
export interface Measured {
  seconds: number;
  /** Highest resident memory of the process, in MiB. */
  peakMib: number;
  /** End of the process in seconds from its start. */
  endedAt: number;
  /** Progress lines with their times in seconds from the start. */
  progress: { at: number; line: Progress }[];
  /** Standard output. */
  out: string;
}

/** A progress line of the migrator. */
interface Progress {
  stage: string;
  bytes: number;
  bytes_total: number;
  eta_seconds: number | null;
}

/** Returns the highest resident memory so far in MiB; 0 if the system does not report it. */
function peakOf(pid: number): number {
  try {
    const kib = /VmHWM:\s+(\d+)/.exec(Deno.readTextFileSync(`/proc/${pid}/status`))?.[1];
    return Number(kib ?? 0) / 1024;
  } catch {
    return 0;
  }
}

async function run(command: string, args: string[], env: Record<string, string> = {}): Promise<Measured> {
  const started = performance.now();
  const since = () => (performance.now() - started) / 1000;
  const child = new Deno.Command(command, { args, env, stdout: "piped", stderr: "piped" }).spawn();
  let peakMib = 0;
  const timer = setInterval(() => peakMib = Math.max(peakMib, peakOf(child.pid)), 20);
  const progress: Measured["progress"] = [];
  let errors = "";
  const listen = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      errors += text;
      for (const line of text.split("\n")) {
        if (line.startsWith('{"stage"')) progress.push({ at: since(), line: JSON.parse(line) });
      }
    }
  })();
  const out = await new Response(child.stdout).text();
  const { code } = await child.status;
  await listen;
  clearInterval(timer);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${errors}`);
  const endedAt = since();
  return { seconds: endedAt, endedAt, peakMib, progress, out };
}

/** Reads the V8 flags of `deno task migrate`, so that the measured memory is that of a user's process. */
async function readFlags(): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  return tasks.migrate.command.split(" ").filter((word: string) => word.startsWith("--v8-flags"));
}

/** Runs a verb of the migrator. The seconds are those that the verb reports, without the start of the process. */
export async function runMigrate(url: string, verb: string, from: string): Promise<Measured> {
  const args = [
    "run",
    "-A",
    "--no-check",
    ...await readFlags(),
    mainPath,
    "data",
    verb,
    "--from",
    from,
    "--json",
  ];
  const measured = await run(Deno.execPath(), args, { DATABASE_URL: url });
  const { seconds, differences = 0 } = JSON.parse(measured.out);
  if (differences !== 0) throw new Error(`verify found ${differences} differences`);
  return { ...measured, seconds };
}

/** Reports whether psql can be run. */
export const hasPsql = (): Promise<boolean> => run("psql", ["--version"]).then(() => true, () => false);

/** Runs `work` on a new database that is dropped afterwards. */
export async function onDatabase<T>(
  server: Server,
  work: (url: string, sql: Pool) => Promise<T>,
): Promise<T> {
  const name = `bench_${crypto.randomUUID().replaceAll("-", "")}`;
  const admin = connect(server.url("postgres"), { max: 1 });
  await admin`create database ${admin(name)}`;
  const sql = connect(server.url(name), { max: 1 });
  try {
    await migrateUp(sql);
    // A checkpoint writes the dirty pages of the previous work before this one is measured.
    await sql`checkpoint`;
    return await work(server.url(name), sql);
  } finally {
    await sql.end();
    await admin`drop database ${admin(name)} with (force)`;
    await admin.end();
  }
}

const columns = subtaskColumns.join();

/** Writes all subtasks to a file as COPY text. */
export const saveRows = (url: string, file: string) =>
  run("psql", [url, "-qXc", `\\copy (select ${columns} from subtasks) to '${file}'`]);

async function emptySubtasks(sql: Pool): Promise<void> {
  await sql`truncate subtasks cascade`;
  await sql`checkpoint`;
}

/** Measures psql COPY of ready rows into the empty table with its keys and indexes. @returns seconds */
export async function measureCopy(sql: Pool, url: string, file: string): Promise<number> {
  await emptySubtasks(sql);
  return (await run("psql", [url, "-qXc", `\\copy subtasks (${columns}) from '${file}'`])).seconds;
}

const rowsPerStatement = 500;

/** Measures multi-row INSERT of the first `rows` ready rows. @returns seconds, extrapolated to `all` rows */
export async function measureInsert(sql: Pool, file: string, rows: number, all: number): Promise<number> {
  await emptySubtasks(sql);
  const text = await Deno.readTextFile(file);
  const lines = text.split("\n", rows).filter((line) => line !== "").map(decodeLine);
  const started = performance.now();
  for (let at = 0; at < lines.length; at += rowsPerStatement) {
    const batchSize = lines.slice(at, at + rowsPerStatement);
    const values = batchSize.map((row) => `(${row.map(quote).join()})`).join();
    await sql.unsafe(`insert into subtasks (${columns}) values ${values}`);
  }
  return (performance.now() - started) / 1000 * all / lines.length;
}

const quote = (field: string | null) => field === null ? "null" : `'${field.replaceAll("'", "''")}'`;

/** The error of an estimate of the time left. */
export interface EtaError {
  /** Share of the duration at which the estimate is judged. */
  at: number;
  /** Error as a share of the duration; undefined if there was no estimate yet. */
  error: number | undefined;
}

const etaShares = [0.05, 0.1, 0.25, 0.5, 0.75];

/** Returns the errors of the latest estimates at several shares of the duration, and the largest error after 5 %. */
export function etaErrors(
  { progress, endedAt }: Measured,
): { shares: EtaError[]; worst: number; reported: number } {
  const startedAt = progress[0]?.at ?? 0;
  const duration = endedAt - startedAt;
  const reported = progress.filter(({ line }) => line.eta_seconds !== null).map(({ at, line }) => ({
    share: (at - startedAt) / duration,
    error: Math.abs(at + line.eta_seconds! - endedAt) / duration,
  }));
  const shares = etaShares.map((at) => ({ at, error: reported.findLast(({ share }) => share <= at)?.error }));
  const late = reported.filter(({ share }) => share >= etaShares[0]!);
  return { shares, worst: Math.max(0, ...late.map(({ error }) => error)), reported: late.length };
}
