/** Shared parts of the migrator's commands: their process, database pool, options, progress and output. */
import {
  connect,
  connectError,
  describeUrl,
  listIgnoredParameters,
  ping,
  type Pool,
} from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import type { Check } from "../../ops.ts";
import { isConnectionLost, isDiskFull } from "../../passing.ts";
import { printError } from "../../process.ts";
import { createSchemaCheck } from "../schema/runner.ts";
import type { FollowedMongo } from "./sources/mongo_follow.ts";
import { openProgress, type Progress, silentProgress } from "./tools/progress.ts";

/** The process that a command runs in. */
export interface Context {
  /**
   * Returns the URL of the database.
   *
   * @throws AppError invalid_config
   */
  databaseUrl(): string;
  print(text: string): void;
}

export interface DataContext extends Context {
  /** Aborted by SIGINT or SIGTERM. Commands finish their current range before they stop. */
  signal: AbortSignal;
}

const continueHint = "run the same command again to continue from the last committed transaction";

/** Converts errors of a lost connection, a full disk and a failed connection attempt to an AppError. */
function toAppError(error: unknown, url: string): unknown {
  const { code = "", message } = error as { code?: string; message?: string };
  const where = describeUrl(url);
  if (isConnectionLost(error)) {
    const text = `working on PostgreSQL at '${where}': the connection was lost (${code}); ${continueHint}`;
    return new AppError("database_unreachable", text, { cause: error });
  }
  if (isDiskFull(error)) {
    const text =
      `writing to PostgreSQL at '${where}': the disk is full (${message}); free space, then ${continueHint}`;
    return new AppError("disk_full", text, { cause: error });
  }
  return connectError(error, url);
}

/**
 * Runs `work` with a pool and closes the pool afterwards.
 *
 * @throws AppError database_unreachable, database_refused, disk_full; errors of `work`
 */
export async function withPool<T>(context: Context, work: (pool: Pool) => Promise<T>): Promise<T> {
  const url = context.databaseUrl();
  for (const { name, reason } of listIgnoredParameters(url)) {
    printError(`note: '${name}' in DATABASE_URL has no effect: ${reason}`);
  }
  const pool = connect(url, { max: 2, name: "contactsheet-migrate" });
  try {
    return await work(pool);
  } catch (error) {
    throw toAppError(error, url);
  } finally {
    await pool.end({ timeout: 1 });
  }
}

/** Returns what must succeed before `sync` or `back` is ready. */
export const followChecks = (pool: Pool, { db }: FollowedMongo): Record<string, Check> => ({
  database: () => ping(pool),
  schema: createSchemaCheck(pool),
  mongodb: async () => void await db.command({ ping: 1 }),
});

/** Options that several commands have. */
export const options = {
  from: [
    "--from <source>",
    "folder of mongoexport or mongodump, archive, mongodb://… URL, or 'mongodb' for MONGODB_URL",
  ],
  json: ["--json", "print one JSON object to stdout"],
  quiet: ["--quiet", "print no progress to stderr"],
} as const;

/** Returns the progress output on stderr, or none with `--quiet`. */
export const progressOf = ({ quiet }: { quiet?: true }): Progress => quiet ? silentProgress : openProgress();

/** Prints a result as one JSON object or as text. */
export function printResult(
  context: Context,
  { json }: { json?: true },
  value: unknown,
  text: () => string,
): void {
  context.print(json ? JSON.stringify(value) : text());
}

/**
 * Writes a file that an option names.
 *
 * @throws AppError usage when the file cannot be written
 */
export async function writeOutputFile(option: string, path: string, content: string): Promise<void> {
  try {
    await Deno.writeTextFile(path, content);
  } catch (cause) {
    const text = `${option} '${path}': the file cannot be written: ${(cause as Error).message}`;
    throw new AppError("usage", text, { cause });
  }
}
