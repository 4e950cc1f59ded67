/** The servers of a rig. Each can be stopped and restarted on the same port. */
import { connect } from "../../db/pg/connect.ts";
import { migrateUp, readSteps } from "../../migrate/schema/runner.ts";
import { startPostgres } from "../servers/postgres.ts";
import { findFreePort } from "../servers/ports.ts";
import { startRedis } from "../servers/redis.ts";
import { installAudit } from "./audit.ts";

const template = "chaos_template";

/** Options for connections to a server that may be stopped: a lost connection must not end the rig. */
export const tolerantOptions = { silentMsMax: 60_000 };

function isAlive(pid: number): boolean {
  try {
    Deno.kill(pid, "SIGCONT");
    return true;
  } catch {
    return false;
  }
}

async function waitUntilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setTimeout(resolve, 10));
}

/** PostgreSQL's shutdown modes: `fast` ends sessions cleanly, `immediate` needs recovery at the next start. */
export type StopMode = "fast" | "immediate";

/** A PostgreSQL server whose commits survive the death of its processes. */
export class RigPostgres implements AsyncDisposable {
  readonly #folder: string;
  readonly #port: number;
  /** Folder of the schema; a mutated copy of the project has its own. */
  readonly #schema: URL;
  #starting: Promise<void> = Promise.resolve();

  private constructor(folder: string, port: number, schema: URL) {
    this.#folder = folder;
    this.#port = port;
    this.#schema = schema;
  }

  /** Creates the cluster and a migrated template database with the rig's triggers. @param schema folder of .sql files */
  static async start(schema: URL): Promise<RigPostgres> {
    const folder = await Deno.makeTempDir({ prefix: "contactsheet-chaos-" });
    const server = new RigPostgres(folder, findFreePort(), schema);
    await server.startIfDown();
    const admin = connect(server.url("postgres"), { ...tolerantOptions, max: 1 });
    // Faults end processes, not the machine, so the operating system still writes its cache to disk.
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

  /** Returns the URL of a database. */
  url(database: string): string {
    return `postgres://contactsheet:contactsheet@127.0.0.1:${this.#port}/${database}`;
  }

  /** Creates a database from the template. */
  async createDatabase(name: string): Promise<void> {
    const admin = connect(this.url("postgres"), { ...tolerantOptions, max: 1 });
    await admin`create database ${admin(name)} template ${admin(template)}`;
    await admin.end();
  }

  /** Drops a database and ends its sessions. */
  async dropDatabase(name: string): Promise<void> {
    const admin = connect(this.url("postgres"), { ...tolerantOptions, max: 1 });
    await admin`drop database if exists ${admin(name)} with (force)`;
    await admin.end();
  }

  /** Starts the server if it is down. Concurrent calls wait for one another. */
  startIfDown(): Promise<void> {
    const start = async () => {
      const pid = await this.#readPid();
      if (pid !== undefined && isAlive(pid)) return;
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

  /** Stops the server if it runs, and waits for its end. */
  async stop(mode: StopMode): Promise<void> {
    const pid = await this.#readPid();
    if (pid === undefined) return;
    Deno.kill(pid, mode === "fast" ? "SIGINT" : "SIGQUIT");
    await waitUntilGone(pid);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("immediate");
    await Deno.remove(this.#folder, { recursive: true }).catch(() => {});
  }
}

/** A Redis server without persistence. */
export class RigRedis implements AsyncDisposable {
  readonly port = findFreePort();
  #running: Awaited<ReturnType<typeof startRedis>> | undefined;

  get url(): string {
    return `redis://127.0.0.1:${this.port}/0`;
  }

  /** Starts the server if it is down. */
  async startIfDown(): Promise<void> {
    this.#running ??= await startRedis({ port: this.port });
  }

  /** Kills the server if it runs. */
  async kill(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    if (!running) return;
    Deno.kill(running.pid, "SIGKILL");
    await running.stop();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.kill();
  }
}

/** Repeats `work` until it succeeds, for at most `ms`, since the server may be down. @throws the last error */
export async function retry<T>(work: () => Promise<T>, ms = 30_000): Promise<T> {
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
