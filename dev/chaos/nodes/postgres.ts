/** The PostgreSQL of a rig. It can be stopped and restarted, and it can fail over to another node. */
import { connect, type Pool } from "../../../db/pg/connect.ts";
import { migrateUp, readSteps } from "../../../migrate/schema/runner.ts";
import { startPostgres } from "../../servers/postgres.ts";
import { isAlive } from "../../servers/pids.ts";
import { findFreePort } from "../../servers/ports.ts";
import { installAudit } from "../audit.ts";
import { type Proxy, startProxy } from "../proxy.ts";
import { createSequence, pause, retry, tolerantOptions } from "../servers.ts";
import { copyAsStandby } from "./standby.ts";

const template = "chaos_template";

async function waitUntilGone(pid: number): Promise<void> {
  while (isAlive(pid)) await pause(10);
}

/** PostgreSQL's shutdown modes: `fast` ends sessions cleanly, `immediate` needs recovery at the next start. */
export type StopMode = "fast" | "immediate";

/** A course of a failover. */
export interface PostgresFailover {
  /** Time in milliseconds for which no node permits writes. */
  readOnlyMs: number;
  /** Whether the address moves to the standby before it is promoted. */
  movesFirst: boolean;
}

/** One server of the rig. */
class PostgresNode {
  readonly port = findFreePort();
  constructor(readonly folder: string) {}

  /** Returns the URL of a database on this node. */
  url(database: string, port = this.port): string {
    return `postgres://contactsheet:contactsheet@127.0.0.1:${port}/${database}`;
  }

  openAdmin(): Pool {
    return connect(this.url("postgres"), { ...tolerantOptions, max: 1 });
  }

  async #readPid(): Promise<number | undefined> {
    const file = await Deno.readTextFile(`${this.folder}/postmaster.pid`).catch(() => undefined);
    return file === undefined ? undefined : Number(file.split("\n")[0]);
  }

  /** Starts the server if it is down. A standby counts as started when it is promoted. */
  async startIfDown(): Promise<void> {
    const pid = await this.#readPid();
    if (pid !== undefined && isAlive(pid)) return;
    await startPostgres({ folder: this.folder, keep: true, port: this.port });
  }

  /** Stops the server if it runs, and waits for its end. */
  async stop(mode: StopMode): Promise<void> {
    const pid = await this.#readPid();
    if (pid === undefined) return;
    Deno.kill(pid, mode === "fast" ? "SIGINT" : "SIGQUIT");
    await waitUntilGone(pid);
  }

  async remove(): Promise<void> {
    await this.stop("immediate");
    await Deno.remove(this.folder, { recursive: true }).catch(() => {});
  }
}

/** Time for the server to tell its sessions a changed setting. */
const reloadMs = 100;
/** Time after which transactions from before the end of writes are terminated. */
const writesMsMax = 2_000;

/** Makes a node read-only, keeps its connections open, and waits until no transaction can write any more. */
async function endWrites(admin: Pool): Promise<void> {
  await admin`alter system set default_transaction_read_only = on`;
  await admin`select pg_reload_conf()`;
  await pause(reloadMs);
  // A transaction that began before keeps its right to write.
  const [now] = await retry(() => admin<{ at: string }[]>`select clock_timestamp()::text as at`);
  const listWriters = () =>
    retry(() =>
      admin<{ pid: number }[]>`
        select pid
        from pg_stat_activity
        where backend_type = 'client backend' and pid <> pg_backend_pid() and xact_start < ${
        now!.at
      }::timestamptz`
    );
  const until = performance.now() + writesMsMax;
  for (let writers = await listWriters(); writers.length > 0; writers = await listWriters()) {
    if (performance.now() > until) {
      for (const { pid } of writers) await retry(() => admin`select pg_terminate_backend(${pid})`);
    }
    await pause(20);
  }
}

/** Waits until a standby has everything that the primary wrote. */
async function waitUntilEqual(primary: Pool, standby: Pool): Promise<void> {
  const [written] = await retry(() =>
    primary<{ lsn: string }[]>`select pg_current_wal_flush_lsn()::text as lsn`
  );
  await retry(async () => {
    const [state] = await standby<{ has_all: boolean }[]>`
      select pg_last_wal_replay_lsn() >= ${written!.lsn}::pg_lsn as has_all`;
    if (!state!.has_all) throw new Error("the standby has not caught up");
  });
}

/**
 * A PostgreSQL server whose commits survive the death of its processes.
 *
 * A failover replaces its node. No commit is lost: the old node stops writing before the new one starts. The old node
 * stays up, read-only and with the connections of the workers, until `retire()`.
 */
export class RigPostgres implements AsyncDisposable {
  #node: PostgresNode;
  readonly #retired: PostgresNode[] = [];
  /** Folder of the schema; a mutated copy of the project has its own. */
  readonly #schema: URL;
  /** The address that the workers use. */
  readonly #address: Proxy;
  /** The rig's own address. A failover closes its connections, since the rig must not read from the old node. */
  readonly #ownAddress: Proxy;
  readonly #runAlone = createSequence();

  private constructor(folder: string, schema: URL) {
    this.#node = new PostgresNode(folder);
    this.#address = startProxy(this.#node.port);
    this.#ownAddress = startProxy(this.#node.port);
    this.#schema = schema;
  }

  /** Creates the cluster and a migrated template database with the rig's triggers. @param schema folder of .sql files */
  static async start(schema: URL): Promise<RigPostgres> {
    const folder = await Deno.makeTempDir({ prefix: "contactsheet-chaos-" });
    const server = new RigPostgres(folder, schema);
    await server.startIfDown();
    const admin = server.#node.openAdmin();
    // Faults end processes, not the machine, so the operating system still writes its cache to disk.
    await admin`alter system set fsync = off`;
    // A standby that was just copied still finds the log that it needs.
    await admin`alter system set wal_keep_size = '1GB'`;
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

  /** Port of the address that the workers use. */
  get port(): number {
    return this.#address.port;
  }

  /** Returns the URL of a database. @param port port of a proxy; the rig's own by default */
  url(database: string, port = this.#ownAddress.port): string {
    return this.#node.url(database, port);
  }

  /** Creates a database from the template. */
  async createDatabase(name: string): Promise<void> {
    const admin = this.#node.openAdmin();
    await admin`create database ${admin(name)} template ${admin(template)}`;
    await admin.end();
  }

  /** Drops a database and ends its sessions. */
  async dropDatabase(name: string): Promise<void> {
    const admin = this.#node.openAdmin();
    await admin`drop database if exists ${admin(name)} with (force)`;
    await admin.end();
  }

  /** Starts the server if it is down. */
  startIfDown(): Promise<void> {
    return this.#runAlone(() => this.#node.startIfDown());
  }

  /** Stops the server if it runs, and waits for its end. */
  stop(mode: StopMode): Promise<void> {
    return this.#runAlone(() => this.#node.stop(mode));
  }

  /** Moves the address to a promoted standby. The old node stays up and read-only, and connections to it stay open. */
  failOver(course: PostgresFailover): Promise<void> {
    return this.#runAlone(() => this.#failOver(course));
  }

  async #failOver({ readOnlyMs, movesFirst }: PostgresFailover): Promise<void> {
    await this.#node.startIfDown();
    const old = this.#node;
    const next = new PostgresNode(await Deno.makeTempDir({ prefix: "contactsheet-chaos-" }));
    this.#retired.push(next);
    const [admin, standby] = [old.openAdmin(), next.openAdmin()];
    try {
      await retry(() => admin`select 1`);
      await copyAsStandby(admin, old.folder, next.folder, old.port);
      const promotion = next.startIfDown();
      // A failure is thrown below.
      promotion.catch(() => {});
      await retry(() => standby`select 1`);
      await endWrites(admin);
      await waitUntilEqual(admin, standby);
      if (movesFirst) this.#address.to = next.port;
      await pause(readOnlyMs);
      await standby`select pg_promote()`;
      await promotion;
    } finally {
      await Promise.all([admin.end({ timeout: 0 }), standby.end({ timeout: 0 })]);
    }
    this.#node = next;
    this.#retired.splice(this.#retired.indexOf(next), 1, old);
    this.#address.to = this.#ownAddress.to = next.port;
    this.#ownAddress.cut();
  }

  /** Ends the nodes that failovers left behind. */
  async retire(): Promise<void> {
    for (const node of this.#retired.splice(0)) await node.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const address of [this.#address, this.#ownAddress]) address.stop();
    await this.retire();
    await this.#node.remove();
  }
}
