/** A local PostgreSQL with a streaming replica that can be killed and started again. */
import { connect } from "../../db/pg/connect.ts";
import { copyAsStandby } from "../chaos/nodes/standby.ts";
import { pause, retry, tolerantOptions } from "../chaos/servers.ts";
import { isAlive } from "./pids.ts";
import { findFreePort } from "./ports.ts";
import { startPostgres } from "./postgres.ts";

/** A primary and its replica. */
export interface Replicated extends AsyncDisposable {
  /** Returns the URL of a database of the primary. */
  url(database: string): string;
  /** Returns the URL of a database of the replica. */
  replicaUrl(database: string): string;
  /** Ends the replica as a crash does. */
  killReplica(): Promise<void>;
  /** Starts the replica, and waits until it answers. */
  startReplica(): Promise<void>;
}

async function readPid(folder: string): Promise<number | undefined> {
  const file = await Deno.readTextFile(`${folder}/postmaster.pid`).catch(() => undefined);
  return file === undefined ? undefined : Number(file.split("\n")[0]);
}

async function kill(folder: string): Promise<void> {
  const pid = await readPid(folder);
  if (pid === undefined || !isAlive(pid)) return;
  Deno.kill(pid, "SIGQUIT");
  while (isAlive(pid)) await pause(10);
}

/** Starts a primary with an empty database `name`, and a replica that follows it. */
export async function startReplicated(name: string): Promise<Replicated> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-primary-" });
  const copy = await Deno.makeTempDir({ prefix: "contactsheet-replica-" });
  const port = findFreePort();
  const replicaPort = findFreePort();
  const primary = await startPostgres({ folder, keep: true, port });
  const urlAt = (at: number, database: string) =>
    `postgres://contactsheet:contactsheet@127.0.0.1:${at}/${database}`;
  const admin = connect(primary.url("postgres"), { ...tolerantOptions, max: 1 });
  // Processes end here, not the machine, so nothing is lost; and a replica that returns still finds its log.
  await admin`alter system set fsync = off`;
  await admin`alter system set wal_keep_size = '1GB'`;
  await admin`select pg_reload_conf()`;
  await admin`create database ${admin(name)}`;
  await copyAsStandby(admin, folder, copy, port);
  await admin.end();
  const startReplica = async () => {
    // The package waits for a server that accepts writes, which a replica never does.
    startPostgres({ folder: copy, keep: true, port: replicaPort }).catch(() => {});
    const sql = connect(urlAt(replicaPort, "postgres"), { ...tolerantOptions, max: 1 });
    await retry(async () => void await sql`select 1`);
    await sql.end({ timeout: 0 });
  };
  await startReplica();
  return {
    url: (database) => urlAt(port, database),
    replicaUrl: (database) => urlAt(replicaPort, database),
    killReplica: () => kill(copy),
    startReplica,
    async [Symbol.asyncDispose]() {
      await kill(copy);
      await kill(folder);
      for (const path of [folder, copy]) await Deno.remove(path, { recursive: true }).catch(() => {});
    },
  };
}
