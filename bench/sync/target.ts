/** The measured processes: the migrator as a user starts it, on its own database, and a MongoDB with a dump. */
import { connect, type Pool } from "../../db/pg/connect.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import type { Server } from "../load/run.ts";

const mainPath = new URL("../../migrate/main.ts", import.meta.url).pathname;

/** A database of the target. */
export interface Target extends AsyncDisposable {
  url: string;
  sql: Pool;
}

/** Creates a database with the schema. Disposal drops it. */
export async function createTarget(server: Server): Promise<Target> {
  const name = `bench_${crypto.randomUUID().replaceAll("-", "")}`;
  const admin = connect(server.url("postgres"), { max: 1 });
  await admin`create database ${admin(name)}`;
  const sql = connect(server.url(name), { max: 2 });
  await migrateUp(sql);
  await sql`checkpoint`;
  return {
    url: server.url(name),
    sql,
    async [Symbol.asyncDispose]() {
      await sql.end();
      await admin`drop database ${admin(name)} with (force)`;
      await admin.end();
    },
  };
}

/** A running command of the migrator. */
export interface Running extends AsyncDisposable {
  /** Waits for its end. @returns seconds from its start */
  end(): Promise<number>;
  /** Highest resident memory so far, in MiB. */
  peakMib(): number;
}

/** Starts `deno task migrate data …` with the flags of the task. */
export async function startMigrate({ url }: Target, ...args: string[]): Promise<Running> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("../../deno.json", import.meta.url)));
  const flags = tasks.migrate.command.split(" ").filter((word: string) => word.startsWith("--v8-flags"));
  const started = performance.now();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...flags, mainPath, "data", ...args, "--quiet"],
    env: { DATABASE_URL: url },
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  let peak = 0;
  let ended = false;
  const look = () => {
    if (ended) return;
    try {
      const status = Deno.readTextFileSync(`/proc/${child.pid}/status`);
      peak = Math.max(peak, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
    } catch {
      // It has just ended, or the system does not report the memory of processes.
    }
  };
  const timer = setInterval(look, 50);
  const output = child.output().then((result) => {
    ended = true;
    clearInterval(timer);
    return result;
  });
  return {
    peakMib: () => peak,
    async end() {
      const { code, stderr } = await output;
      if (code !== 0) {
        throw new Error(`data ${args.join(" ")} ended with ${code}: ${new TextDecoder().decode(stderr)}`);
      }
      return (performance.now() - started) / 1000;
    },
    async [Symbol.asyncDispose]() {
      if (!ended) child.kill("SIGTERM");
      await output;
    },
  };
}
