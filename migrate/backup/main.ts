/** `deno task backup`: backs PostgreSQL up, checks a backup, and restores one into an empty database. */
import { Command, CommanderError } from "commander";
import { describeUsageError, refuseEmptyTexts } from "../../arguments.ts";
import { parseConfig, readEnvironment } from "../../config.ts";
import { connectError } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { counted } from "../../phrases.ts";
import { print, printError, runMain } from "../../process.ts";
import { checkBackup } from "./manifest.ts";
import { formatRestored, requireEqual, restoreBackup } from "./restore.ts";
import { takeBackup } from "./take.ts";

interface Flags {
  to: string;
  bin?: string;
  json?: true;
  quiet?: true;
}

/** A pooler keeps no snapshot over statements, so the direct address is used where there is one. */
function databaseUrl(): string {
  const { DATABASE_URL, DATABASE_DIRECT_URL } = parseConfig(readEnvironment(), "migrate");
  return DATABASE_DIRECT_URL || DATABASE_URL;
}

const noteOf = ({ quiet }: Flags) => (text: string) => quiet ? undefined : printError(text);

async function take(flags: Flags, signal: AbortSignal): Promise<void> {
  const url = databaseUrl();
  const { to, bin } = flags;
  const { folder, manifest } = await takeBackup({ url, to, bin, signal, onNote: noteOf(flags) }).catch(
    (error) => {
      throw connectError(error, url);
    },
  );
  if (flags.json) return print(JSON.stringify({ folder, ...manifest }));
  const rows = manifest.tables.reduce((sum, table) => sum + table.rows, 0);
  print(
    `${folder}: ${counted(manifest.dump.bytes, "byte")}, ${counted(rows, "row")} of ` +
      `${counted(manifest.tables.length, "table")}, position ${manifest.lsn}, in ${manifest.seconds} s`,
  );
}

async function restore(folder: string, flags: Flags, signal: AbortSignal): Promise<void> {
  const url = databaseUrl();
  const restored = await restoreBackup({ folder, url, bin: flags.bin, signal, onNote: noteOf(flags) });
  print(flags.json ? JSON.stringify(restored) : formatRestored(restored));
  requireEqual(restored);
}

async function check(folder: string, flags: Flags): Promise<void> {
  const { tables: _tables, answers: _answers, ...manifest } = await checkBackup(folder);
  if (flags.json) return print(JSON.stringify(manifest));
  print(`${folder}: complete; taken at ${manifest.taken_at}, schema ${manifest.schema.last}`);
}

function createCommand(signal: AbortSignal): Command {
  const bin = ["--bin <folder>", "folder of pg_dump and pg_restore, if they are not found"] as const;
  const json = ["--json", "print one JSON object to stdout"] as const;
  const quiet = ["--quiet", "print no progress to stderr"] as const;
  const command = new Command("deno task backup")
    .description("Backs PostgreSQL up with pg_dump, with a manifest that a restore is compared with.")
    .enablePositionalOptions()
    .option("--to <folder>", "folder in which the backup gets a folder of its own", "backups")
    .option(...bin).option(...json).option(...quiet)
    .addHelpText(
      "after",
      `
The dump and the manifest are of one snapshot; writers are not blocked. 'deno task drill' proves that a backup can be restored.
docs/backup.md describes restores, and copies of the write-ahead log for a restore to any moment.`,
    )
    .action((flags: Flags) => take(flags, signal));
  command.command("check <folder>").description("check that a backup is complete and fits this version")
    .option(...json).action((folder: string, flags: Flags) => check(folder, flags));
  command.command("restore <folder>").description("restore a backup into the empty database of DATABASE_URL")
    .option(...bin).option(...json).option(...quiet)
    .action((folder: string, flags: Flags) => restore(folder, flags, signal));
  return command;
}

async function main(signal: AbortSignal): Promise<void> {
  const command = createCommand(signal);
  refuseEmptyTexts(command);
  for (const one of [command, ...command.commands]) {
    one.allowExcessArguments(false).exitOverride().configureOutput({ writeErr: () => {} });
  }
  try {
    await command.parseAsync([...Deno.args], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    const text = `reading the arguments: ${describeUsageError(error.message)}; see 'deno task backup --help'`;
    throw new AppError("usage", text);
  }
}

if (import.meta.main) await runMain(main);
