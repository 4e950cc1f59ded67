/** A local PgBouncer, from the machine's packages (Debian: `apt-get install pgbouncer`). */
import { AppError } from "../../errors.ts";
import { findFreePort } from "./ports.ts";

/** PgBouncer's pool modes: when a server connection is given to another client. */
export type PoolMode = "session" | "transaction" | "statement";

/** A running PgBouncer. */
export interface LocalPgBouncer extends AsyncDisposable {
  /** Returns the URL of a database behind it. */
  url(database: string, parameters?: string): string;
}

const binaries = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];

/** Returns the path of PgBouncer, or undefined. */
export const findPgBouncer = (): string | undefined =>
  binaries.find((path) => {
    try {
      return Deno.statSync(path).isFile;
    } catch {
      return false;
    }
  });

async function waitForPort(port: number, output: () => string): Promise<void> {
  for (let tries = 0; tries < 200; tries++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 25));
    }
  }
  throw new AppError("database_unreachable", `starting PgBouncer: ${output().slice(-500)}`);
}

/**
 * Starts PgBouncer before a server.
 *
 * @param server URL of any database of the server
 * @param lines further lines of pgbouncer.ini
 * @throws AppError database_unreachable if there is none, or it does not start
 */
export async function startPgBouncer(
  { server, mode, lines = [] }: { server: string; mode: PoolMode; lines?: string[] },
): Promise<LocalPgBouncer> {
  const binary = findPgBouncer();
  if (binary === undefined) {
    throw new AppError("database_unreachable", "looking for PgBouncer: run 'apt-get install pgbouncer'");
  }
  const { hostname, port: serverPort, username, password } = new URL(server);
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-pgbouncer-" });
  const port = findFreePort();
  const file = `${folder}/pgbouncer.ini`;
  const config = [
    "[databases]",
    `* = host=${hostname} port=${serverPort} user=${username} password=${password}`,
    "[pgbouncer]",
    "listen_addr = 127.0.0.1",
    `listen_port = ${port}`,
    "unix_socket_dir =",
    "auth_type = any",
    `pool_mode = ${mode}`,
    "default_pool_size = 4",
    "max_client_conn = 200",
    ...lines,
  ];
  await Deno.writeTextFile(file, config.join("\n") + "\n");
  if (Deno.uid() === 0) await Deno.chmod(folder, 0o755);
  // PgBouncer refuses to run as root.
  const args = Deno.uid() === 0 ? ["--quiet", "--user", "nobody", file] : ["--quiet", file];
  const child = new Deno.Command(binary, { args, stdin: "null", stdout: "null", stderr: "piped" }).spawn();
  let output = "";
  const reading = (async () => {
    for await (const text of child.stderr.pipeThrough(new TextDecoderStream())) output += text;
  })();
  const stop = async () => {
    child.kill("SIGKILL");
    await Promise.all([child.status, reading]);
    await Deno.remove(folder, { recursive: true });
  };
  try {
    await waitForPort(port, () => output);
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    url: (database, parameters = "pgbouncer=true") =>
      `postgres://${username}:${password}@127.0.0.1:${port}/${database}${parameters && "?" + parameters}`,
    [Symbol.asyncDispose]: stop,
  };
}
