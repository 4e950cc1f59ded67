/** What the verbs of `data` share: the process they run in, a pool for their time, and how they tell of progress. */
import { connect, connectError, describeUrl, type Pool } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { openProgress, type Progress, silentProgress } from "./tools/progress.ts";

/** What a command needs of the process it runs in. */
export interface Context {
  /** @throws AppError invalid_config */
  databaseUrl(): string;
  print(text: string): void;
}

export interface DataContext extends Context {
  /** Aborted by Ctrl-C or SIGTERM: the range under way is finished first. */
  signal: AbortSignal;
}

const lost = new Set([
  "57P01",
  "57P02",
  "57P03",
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "EPIPE",
]);
// No room on the disk, or past a limit that stands for it.
const full = new Set(["53100", "53400"]);
const goOn = "nothing is half written: run the same command again, it goes on where it was";

/** Names what ends a verb in the middle: the server went away, or its disk is full. */
function workError(error: unknown, url: string): unknown {
  const { code = "", message } = error as { code?: string; message?: string };
  const where = describeUrl(url);
  if (lost.has(code)) {
    const text = `working on PostgreSQL at '${where}': the connection was lost (${code}); ${goOn}`;
    return new AppError("database_unreachable", text, { cause: error });
  }
  if (full.has(code)) {
    const text = `writing to PostgreSQL at '${where}': it has no room (${message}); make room, then: ${goOn}`;
    return new AppError("disk_full", text, { cause: error });
  }
  return connectError(error, url);
}

/** Opens a pool for the time of `work`, and names failures to connect. */
export async function withPool<T>(context: Context, work: (pool: Pool) => Promise<T>): Promise<T> {
  const url = context.databaseUrl();
  const pool = connect(url, {
    max: 2,
    name: "contactsheet-migrate",
    session: { DateStyle: "ISO" },
    noDelay: true,
  });
  try {
    return await work(pool);
  } catch (error) {
    throw workError(error, url);
  } finally {
    await pool.end({ timeout: 1 });
  }
}

/** None with `--quiet`. */
export const progressOf = ({ quiet }: { quiet?: true }): Progress => quiet ? silentProgress : openProgress();

/** One JSON object for a script, or a text for people. */
export function tell(context: Context, json: true | undefined, value: unknown, text: () => string): void {
  context.print(json ? JSON.stringify(value) : text());
}

/**
 * Writes a file that was asked for by a flag.
 *
 * @throws AppError usage where it cannot be written
 */
export async function writeAsked(flag: string, path: string, content: string): Promise<void> {
  try {
    await Deno.writeTextFile(path, content);
  } catch (cause) {
    throw new AppError("usage", `${flag} '${path}': it cannot be written: ${(cause as Error).message}`, {
      cause,
    });
  }
}
