/** One measured command on a database of its own: the migrator as a user starts it, psql, multi-row INSERT. */
import { connect, type Pool } from "../../db/pg/connect.ts";
import { decodeLine } from "../../migrate/data/tools/copy.ts";
import { subtaskColumns } from "../../migrate/data/lens/subtasks.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";

const mainPath = new URL("../../migrate/main.ts", import.meta.url).pathname;

export interface Server {
  url(name: string): string;
}

export interface Measured {
  seconds: number;
  /** Highest resident memory of the process, in MiB. */
  peakMib: number;
  /** When the process ended, in seconds from its start. */
  endedAt: number;
  /** The progress lines, each with when it came, in seconds from the start. */
  progress: { at: number; line: Progress }[];
  out: string;
}

interface Progress {
  stage: string;
  bytes: number;
  bytes_total: number;
  eta_seconds: number | null;
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

async function run(command: string, args: string[], env: Record<string, string> = {}): Promise<Measured> {
  const started = performance.now();
  const since = () => (performance.now() - started) / 1000;
  const child = new Deno.Command(command, { args, env, stdout: "piped", stderr: "piped" }).spawn();
  let peakMib = 0;
  const timer = setInterval(() => peakMib = Math.max(peakMib, peakOf(child.pid)), 20);
  const progress: Measured["progress"] = [];
  let said = "";
  const listen = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) {
      said += text;
      for (const line of text.split("\n")) {
        if (line.startsWith('{"stage"')) progress.push({ at: since(), line: JSON.parse(line) });
      }
    }
  })();
  const out = await new Response(child.stdout).text();
  const { code } = await child.status;
  await listen;
  clearInterval(timer);
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${said}`);
  const endedAt = since();
  return { seconds: endedAt, endedAt, peakMib, progress, out };
}

/** What `deno task migrate` says to V8: the memory measured is a user's. */
async function readFlags(): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  return tasks.migrate.command.split(" ").filter((word: string) => word.startsWith("--v8-flags"));
}

/** Seconds are the verb's own, without the start of the process. */
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

export const hasPsql = (): Promise<boolean> => run("psql", ["--version"]).then(() => true, () => false);

/** Runs `work` on a new database that is dropped afterwards. */
export async function onDatabase<T>(
  server: Server,
  work: (url: string, sql: Pool) => Promise<T>,
): Promise<T> {
  const name = `bench_${crypto.randomUUID().replaceAll("-", "")}`;
  const admin = connect(server.url("postgres"), { max: 1 });
  await admin`create database ${admin(name)}`;
  const sql = connect(server.url(name), { max: 1, noDelay: true });
  try {
    await migrateUp(sql);
    // None of what the one before has left to write is paid for here.
    await sql`checkpoint`;
    return await work(server.url(name), sql);
  } finally {
    await sql.end();
    await admin`drop database ${admin(name)} with (force)`;
    await admin.end();
  }
}

const columns = subtaskColumns.join();

/** Writes the subtasks that are there as COPY text. */
export const saveRows = (url: string, file: string) =>
  run("psql", [url, "-qXc", `\\copy (select ${columns} from subtasks) to '${file}'`]);

async function empty(sql: Pool): Promise<void> {
  await sql`truncate subtasks cascade`;
  await sql`checkpoint`;
}

/** psql COPY of ready rows into the emptied table, with its keys and indexes. */
export async function measureCopy(sql: Pool, url: string, file: string): Promise<number> {
  await empty(sql);
  return (await run("psql", [url, "-qXc", `\\copy subtasks (${columns}) from '${file}'`])).seconds;
}

const rowsAtOnce = 500;

/** INSERT of many rows a statement, of the first `rows` ready ones; seconds for as many as there are in all. */
export async function measureInsert(sql: Pool, file: string, rows: number, all: number): Promise<number> {
  await empty(sql);
  const text = await Deno.readTextFile(file);
  const lines = text.split("\n", rows).filter((line) => line !== "").map(decodeLine);
  const started = performance.now();
  for (let at = 0; at < lines.length; at += rowsAtOnce) {
    const part = lines.slice(at, at + rowsAtOnce);
    const values = part.map((row) => `(${row.map(quote).join()})`).join();
    await sql.unsafe(`insert into subtasks (${columns}) values ${values}`);
  }
  return (performance.now() - started) / 1000 * all / lines.length;
}

const quote = (field: string | null) => field === null ? "null" : `'${field.replaceAll("'", "''")}'`;

export interface EtaError {
  /** Share of the verb's time at which it was told. */
  at: number;
  /** The error as a share of the whole time; undefined where nothing was told by then. */
  error: number | undefined;
}

const etaShares = [0.05, 0.1, 0.25, 0.5, 0.75];

/** How far the time left was off that the verb had told last when so much of its time was over; and at most from then on. */
export function etaErrors(
  { progress, endedAt }: Measured,
): { shares: EtaError[]; worst: number; told: number } {
  const begun = progress[0]?.at ?? 0;
  const whole = endedAt - begun;
  const told = progress.filter(({ line }) => line.eta_seconds !== null).map(({ at, line }) => ({
    share: (at - begun) / whole,
    error: Math.abs(at + line.eta_seconds! - endedAt) / whole,
  }));
  const shares = etaShares.map((at) => ({ at, error: told.findLast(({ share }) => share <= at)?.error }));
  const late = told.filter(({ share }) => share >= etaShares[0]!);
  return { shares, worst: Math.max(0, ...late.map(({ error }) => error)), told: late.length };
}
