/** `deno task drill`: restores a backup into a fresh server, and proves that nothing is missing. */
import { Command } from "commander";
import { connect, connectError } from "../../db/pg/connect.ts";
import { formatRestored, requireEqual, restoreBackup, type Restored } from "../../migrate/backup/restore.ts";
import { print, printError, runMain } from "../../process.ts";
import { parseOptions } from "../command_line.ts";
import { startPostgres } from "../servers/postgres.ts";

interface Options {
  from: string;
  server?: string;
  bin?: string;
  json?: true;
  quiet?: true;
}

const command = new Command("deno task drill")
  .description(
    "Restores a backup into a fresh server and compares rows, checksums and answers of v1 with it.",
  )
  .requiredOption("--from <folder>", "folder of a backup")
  .option(
    "--server <url>",
    "server on which a database may be created and dropped; by default, a new one is started",
  )
  .option("--bin <folder>", "folder of pg_restore, if it is not found")
  .option("--json", "print one JSON object to stdout")
  .option("--quiet", "print no progress to stderr");

/** A server for the drill. */
interface Server extends AsyncDisposable {
  url(database: string): string;
}

async function openServer(given: string | undefined): Promise<Server> {
  if (given === undefined) {
    const folder = await Deno.makeTempDir({ prefix: "contactsheet-drill-" });
    return await startPostgres({ folder, keep: false, durable: false });
  }
  const url = (database: string) => Object.assign(new URL(given), { pathname: `/${database}` }).href;
  return { url, [Symbol.asyncDispose]: () => Promise.resolve() };
}

/** Restores into a database of its own, which is dropped afterwards. */
async function drill(options: Options, signal: AbortSignal): Promise<Restored> {
  await using server = await openServer(options.server);
  const name = `contactsheet_drill_${crypto.randomUUID().slice(0, 8)}`;
  const adminUrl = options.server ?? server.url("postgres");
  const admin = connect(adminUrl, { max: 1, name: "contactsheet-drill" });
  try {
    await admin`create database ${admin(name)} encoding UTF8 template template0`.catch((error) => {
      throw connectError(error, adminUrl, "--server");
    });
    return await restoreBackup({
      folder: options.from,
      url: server.url(name),
      bin: options.bin,
      signal,
      onNote: (text) => options.quiet ? undefined : printError(text),
    });
  } finally {
    await admin`drop database if exists ${admin(name)} with (force)`.catch(() => {});
    await admin.end({ timeout: 1 });
  }
}

async function main(signal: AbortSignal): Promise<void> {
  const options = parseOptions<Options>(command, Deno.args);
  if (!options) return;
  const restored = await drill(options, signal);
  print(options.json ? JSON.stringify(restored) : formatRestored(restored));
  requireEqual(restored);
}

if (import.meta.main) await runMain(main);
