/** The servers of a rig, each of which can be struck down and started again where it was. */
import { connect } from "../../db/pg/connect.ts";
import { migrateUp, readSteps } from "../../migrate/schema/runner.ts";
import { startPostgres } from "../servers/postgres.ts";
import { findFreePort } from "../servers/ports.ts";
import { startRedis } from "../servers/redis.ts";
import { installAudit } from "./audit.ts";

const template = "chaos_template";

/** For connections to a server that may be struck: none of its ends may end the rig. */
export const steady = { silentMsMax: 60_000 };

function isThere(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}

async function waitUntilGone(pid: number): Promise<void> {
  while (isThere(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** How PostgreSQL is told to end: it says goodbye, or drops everything and recovers at its next start. */
export type StopMode = "fast" | "immediate";

/** A PostgreSQL whose every commit survives the death of its processes. */
export class RigPostgres implements AsyncDisposable {
  readonly #folder: string;
  readonly #port: number;
  /** Where the schema is read from: a mutated copy has its own. */
  readonly #schema: URL;
  #starting: Promise<void> = Promise.resolve();

  private constructor(folder: string, port: number, schema: URL) {
    this.#folder = folder;
    this.#port = port;
    this.#schema = schema;
  }

  /** Creates the cluster and a migrated template with the rig's triggers. @param schema folder of .sql files */
  static async start(schema: URL): Promise<RigPostgres> {
    const folder = await Deno.makeTempDir({ prefix: "contactsheet-chaos-" });
    const server = new RigPostgres(folder, findFreePort(), schema);
    await server.startAgain();
    const admin = connect(server.url("postgres"), { ...steady, max: 1 });
    // Processes die here, not the machine: what was written to the system's cache is safe.
    await admin`alter system set fsync = off`;
    await admin`select pg_reload_conf()`;
    await admin`create database ${admin(template)}`;
    await admin.end();
    await server.#fillTemplate();
    return server;
  }

  async #fillTemplate(): Promise<void> {
    const sql = connect(this.url(template), { max: 1 });
    await migrateUp(sql, { steps: await readSteps(this.#schema) });
    await installAudit(sql);
    await sql.end();
  }

  get port(): number {
    return this.#port;
  }

  url(database: string): string {
    return `postgres://contactsheet:contactsheet@127.0.0.1:${this.#port}/${database}`;
  }

  async createDatabase(name: string): Promise<void> {
    const admin = connect(this.url("postgres"), { ...steady, max: 1 });
    await admin`create database ${admin(name)} template ${admin(template)}`;
    await admin.end();
  }

  async dropDatabase(name: string): Promise<void> {
    const admin = connect(this.url("postgres"), { ...steady, max: 1 });
    await admin`drop database if exists ${admin(name)} with (force)`;
    await admin.end();
  }

  /** Starts it where it is down; of two faults that have struck it, each waits until it is up. */
  startAgain(): Promise<void> {
    const start = async () => {
      const pid = await this.#readPid();
      if (pid !== undefined && isThere(pid)) return;
      await startPostgres({ folder: this.#folder, keep: true, port: this.#port });
    };
    const started = this.#starting.then(start);
    this.#starting = started.catch(() => {});
    return started;
  }

  async #readPid(): Promise<number | undefined> {
    const file = await Deno.readTextFile(`${this.#folder}/postmaster.pid`).catch(() => undefined);
    return file === undefined ? undefined : Number(file.split("\n")[0]);
  }

  async strike(mode: StopMode): Promise<void> {
    const pid = await this.#readPid();
    if (pid === undefined) return;
    Deno.kill(pid, mode === "fast" ? "SIGINT" : "SIGQUIT");
    await waitUntilGone(pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.strike("immediate");
    await Deno.remove(this.#folder, { recursive: true }).catch(() => {});
  }
}

/** A Redis that keeps nothing. */
export class RigRedis implements AsyncDisposable {
  readonly port = findFreePort();
  #running: Awaited<ReturnType<typeof startRedis>> | undefined;

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  async startAgain(): Promise<void> {
    this.#running ??= await startRedis({ port: this.port });
  }

  async strike(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (!running) return;
    Deno.kill(running.pid, "SIGKILL");
    await running.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.strike();
  }
}

/** Runs a statement until it succeeds: the server may be down just now. */
export async function insist<T>(work: () => Promise<T>, ms = 30_000): Promise<T> {
  const until = performance.now() + ms;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}
