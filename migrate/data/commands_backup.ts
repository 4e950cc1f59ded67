/** The commands `backup` and `restore`. */
import type { Command } from "commander";
import { backup, formatBackup } from "./backup/backup.ts";
import { type DataContext, options, printResult, progressOf, withPool } from "./context.ts";
import { saveBackup } from "./cutover/decisions.ts";
import { operatorName } from "./tools/operator.ts";
import { openSnapshot } from "./sources/open.ts";
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

async function runBackup(context: DataContext, flags: BackupFlags): Promise<void> {
  await using source = flags.from === undefined ? undefined : await openSnapshot(flags.from);
  const manifest = await withPool(context, async (pool) => {
    const written = await backup(pool, flags.to, {
      progress: progressOf(flags),
      signal: context.signal,
      ...(source ? { source } : {}),
    });
    // The gate of the cut-over asks for it.
    await saveBackup(pool, flags.to, operatorName(undefined));
    return written;
  });
  printResult(context, flags, manifest, () => formatBackup(flags.to, manifest));
}

async function runRestore(context: DataContext, flags: RestoreFlags): Promise<void> {
  const { replace = false, dryRun = false } = flags;
  const result = await withPool(
    context,
    (pool) => restore(pool, flags.backup, { progress: progressOf(flags), replace, dryRun }),
  );
  printResult(context, flags, result, () => formatRestore(result));
}

/** Adds the commands `backup` and `restore`. */
export function addBackup(data: Command, context: DataContext): void {
  data.command("backup")
    .description("save a snapshot of all tables and the documents of a source, with counts and SHA-256")
    .requiredOption("--to <folder>", "new or empty folder")
    .option("--from <source>", "also save the original documents of this source")
    .option(...options.json)
    .option(...options.quiet)
    .addHelpText(
      "after",
      `
FOLDER/target holds each table as COPY text, all from one snapshot. FOLDER/source can be loaded again, or given to
mongorestore if the source is a mongodump or a MongoDB. manifest.json is written last: a folder without it is an
unfinished backup.`,
    )
    .action((flags: BackupFlags) => runBackup(context, flags));
  data.command("restore")
    .description("check a backup and restore its tables in one transaction")
    .requiredOption("--backup <folder>", "folder that 'data backup' wrote")
    .option("--replace", "delete existing rows")
    .option("--dry-run", "only check the files against their SHA-256")
    .option(...options.json)
    .option(...options.quiet)
    .addHelpText(
      "after",
      `
Stop the API and the workers first. All files are checked before the first row changes. A damaged file, another schema,
or existing rows without --replace stop the command before anything has changed.`,
    )
    .action((flags: RestoreFlags) => runRestore(context, flags));
}
