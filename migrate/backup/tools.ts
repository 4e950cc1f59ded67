/** PostgreSQL's own programs pg_dump and pg_restore: finds those that fit a server, and runs them. */
import { parseDatabaseUrl } from "../../db/pg/connection_url.ts";
import { readLibpqEnvironment } from "../../config.ts";
import { AppError } from "../../errors.ts";

export type ToolName = "pg_dump" | "pg_restore";

/** Folders in which packages put the programs of each version. */
const packageFolders = (major: number) => [`/usr/lib/postgresql/${major}/bin`, `/usr/pgsql-${major}/bin`];
const majorMax = 30;

/** A program with its version. */
export interface Tool {
  path: string;
  major: number;
  /** Such as `pg_dump (PostgreSQL) 18.6`. */
  version: string;
}

async function readTool(path: string): Promise<Tool | undefined> {
  const command = new Deno.Command(path, {
    args: ["--version"],
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  });
  const output = await command.output().catch(() => undefined);
  const version = new TextDecoder().decode(output?.stdout).trim();
  const major = Number(/\(PostgreSQL\) (\d+)/.exec(version)?.[1]);
  return output?.success && major > 0 ? { path, major, version } : undefined;
}

/**
 * Finds the oldest installed program that knows a server's version. A newer one than necessary writes statements that
 * older servers refuse.
 *
 * @param major major version of the server
 * @param folder the only folder to look in; by default, PATH and the folders of packages
 * @throws AppError database_unsuitable that names what to install
 */
export async function findTool(name: ToolName, major: number, folder?: string): Promise<Tool> {
  const paths: string[] = [name];
  for (let version = major; version <= majorMax; version++) {
    paths.push(...packageFolders(version).map((at) => `${at}/${name}`));
  }
  const candidates = folder === undefined ? paths : [`${folder}/${name}`];
  const found = (await Promise.all(candidates.map(readTool))).filter((tool) => tool !== undefined);
  const fitting = found.filter((tool) => tool.major >= major).sort((a, b) => a.major - b.major)[0];
  if (fitting) return fitting;
  const text = found.length === 0
    ? "it is not installed"
    : `found ${found.map(({ version }) => version).join(", ")}`;
  throw new AppError(
    "database_unsuitable",
    `looking for ${name} of PostgreSQL ${major} or newer: ${text}; install 'postgresql-client-${major}' from ` +
      "apt.postgresql.org, or name its folder with --bin",
  );
}

/** Returns libpq's environment for a URL, which keeps the password out of the list of processes. */
export function toLibpqEnvironment(url: string): Record<string, string> {
  const { hosts, user, password, database, tls } = parseDatabaseUrl(url, readLibpqEnvironment());
  const parts = hosts.map((host) => {
    if (!("path" in host)) return [host.host, String(host.port)];
    const [, folder = "", port = ""] = /^(.*)\/\.s\.PGSQL\.(\d+)$/.exec(host.path) ?? [];
    return [folder, port];
  });
  return {
    PGHOST: parts.map(([host]) => host).join(","),
    PGPORT: parts.map(([, port]) => port).join(","),
    PGUSER: user,
    PGPASSWORD: password,
    PGDATABASE: database,
    PGSSLMODE: tls.mode,
    ...(tls.rootCert === undefined ? {} : { PGSSLROOTCERT: tls.rootCert }),
    ...(tls.cert === undefined ? {} : { PGSSLCERT: tls.cert }),
    ...(tls.key === undefined ? {} : { PGSSLKEY: tls.key }),
  };
}

/** Reports whether a message says that a disk or a quota is full, of this machine or of the server. */
export const saysDiskFull = (text: string): boolean =>
  /no space left on device|disk full|quota exceeded|os error 28\b/i.test(text);

/**
 * Runs a program to its end.
 *
 * @param what the work, for the error
 * @throws AppError disk_full, interrupted, internal with the last lines of its output
 */
export async function runTool(
  { path }: Tool,
  args: string[],
  { url, what, signal }: { url: string; what: string; signal: AbortSignal },
): Promise<void> {
  const child = new Deno.Command(path, {
    args,
    env: { ...toLibpqEnvironment(url), LC_ALL: "C" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
  const kill = () => {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has already ended.
    }
  };
  signal.addEventListener("abort", kill);
  const { success, stderr } = await child.output();
  signal.removeEventListener("abort", kill);
  if (success) return;
  if (signal.aborted) throw new AppError("interrupted", `${what}: interrupted; nothing was kept`);
  const text = new TextDecoder().decode(stderr).trim().split("\n").slice(-5).join("\n");
  if (saysDiskFull(text)) {
    throw new AppError("disk_full", `${what}: the disk is full; free space: ${text}`);
  }
  throw new AppError("internal", `${what}: ${text}`);
}
