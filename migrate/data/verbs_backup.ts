/** The verbs `backup` and `restore`. */
import type { Command } from "commander";
import { backup, formatBackup } from "./backup/backup.ts";
import { type DataContext, progressOf, tell, withPool } from "./context.ts";
import { openSource } from "./sources/open.ts";
import { formatRestore, restore } from "./backup/restore.ts";

interface BackupFlags {
  to: string;
  from?: string;
  json?: true;
  quiet?: true;
}

interface RestoreFlags {
  backup: string;
  replace?: true;
  dryRun?: true;
  json?: true;
  quiet?: true;
}

const json = ["--json", "one JSON object on stdout"] as const;
const quiet = ["--quiet", "no progress on stderr"] as const;

async function runBackup(context: DataContext, flags: BackupFlags): Promise<void> {
  await using source = flags.from === undefined ? undefined : await openSource(flags.from);
  const manifest = await withPool(context, (pool) =>
    backup(pool, flags.to, {
      progress: progressOf(flags),
      signal: context.signal,
      ...(source ? { source } : {}),
    }));
  tell(context, flags.json, manifest, () => formatBackup(flags.to, manifest));
}

async function runRestore(context: DataContext, flags: RestoreFlags): Promise<void> {
  const options = {
    progress: progressOf(flags),
    replace: flags.replace ?? false,
    dryRun: flags.dryRun ?? false,
  };
  const result = await withPool(context, (pool) => restore(pool, flags.backup, options));
  tell(context, flags.json, result, () => formatRestore(result));
}

/** Adds them to `data`. */
export function addBackup(data: Command, context: DataContext): void {
  data.command("backup")
    .description("a snapshot of all tables, and of the source's documents, with counts and SHA-256")
    .requiredOption("--to <folder>", "a new or empty folder")
    .option("--from <source>", "also keep the documents of this source, as they came")
    .option(...json)
    .option(...quiet)
    .addHelpText(
      "after",
      `
FOLDER/target holds each table as COPY text, of one moment, whatever is written meanwhile. FOLDER/source can be
loaded from, or given to mongorestore, if it came from a mongodump or a MongoDB. manifest.json is written last: a
folder without it is an unfinished backup.`,
    )
    .action((flags: BackupFlags) => runBackup(context, flags));
  data.command("restore")
    .description("check a backup and put its tables back, in one transaction")
    .requiredOption("--backup <folder>", "as 'data backup' wrote it")
    .option("--replace", "remove the rows that are there")
    .option("--dry-run", "only check every file against its SHA-256")
    .option(...json)
    .option(...quiet)
    .addHelpText(
      "after",
      `
Stop the API and the workers first. Every file is checked before the first row is touched; a damaged one, another
schema, or rows that are there (without --replace) end it, and nothing has changed.`,
    )
    .action((flags: RestoreFlags) => runRestore(context, flags));
}
