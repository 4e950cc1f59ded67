/** The command `sync`: follows a MongoDB that keeps changing. */
import type { Command } from "commander";
import { requireWritableServer } from "../../db/pg/server.ts";
import { printError } from "../../process.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, options, progressOf, withPool } from "./context.ts";
import { withSharedMigratorLock } from "./ledger/lock.ts";
import { openFollowedSource } from "./sources/open.ts";
import { follow } from "./sync/follow.ts";
import { Lease } from "./sync/lease.ts";
import { SyncReporter } from "./sync/reporter.ts";
import { startFollow } from "./sync/start.ts";
import { failpoint } from "./tools/failpoint.ts";

interface SyncFlags {
  from: string;
  once?: true;
  poll?: true;
  restart?: true;
  acceptShortOplog?: true;
  json?: true;
  quiet?: true;
}

async function runSync(context: DataContext, flags: SyncFlags): Promise<void> {
  await using source = await openFollowedSource(flags.from);
  const onNote = (note: string) => {
    if (!flags.quiet) printError(flags.json ? JSON.stringify({ note }) : `note: ${note}`);
  };
  source.notes.forEach(onNote);
  await withPool(context, async (pool) => {
    await requireWritableServer(pool);
    await requireSchema(pool);
    await withSharedMigratorLock(pool, "sync", async () => {
      await using lease = await Lease.acquire(pool, "sync");
      failpoint("sync.lease_acquired");
      const { fingerprint } = await startFollow(pool, source, {
        mode: flags.poll ? "poll" : "stream",
        restart: flags.restart ?? false,
        acceptShortOplog: flags.acceptShortOplog ?? false,
      }, onNote);
      using reporter = new SyncReporter({
        pool,
        source,
        json: flags.json ?? false,
        quiet: flags.quiet ?? false,
      });
      await follow(
        { pool, source, lease, fingerprint, progress: progressOf(flags), onNote, signal: context.signal },
        { once: flags.once ?? false, onBatch: (report) => reporter.add(report), onRetry: onNote },
      );
      context.print(reporter.summary(context.signal.aborted));
    });
  });
}

/** Adds the command `sync`. */
export function addSync(data: Command, context: DataContext): void {
  data.command("sync")
    .description("copy a MongoDB that keeps changing, and apply its changes until stopped")
    .requiredOption("--from <source>", "mongodb://… URL, or 'mongodb' for MONGODB_URL and DB_NAME")
    .option("--once", "end when all changes up to now are applied")
    .option(
      "--poll",
      "follow a standalone server by 'updated_at'; deletions are found only by comparing both sides",
    )
    .option("--restart", "compare both sides and continue from now, after the source was replaced")
    .option("--accept-short-oplog", "begin even if the oplog may not cover the copy")
    .option(...options.json)
    .option(...options.quiet)
    .addHelpText(
      "after",
      `
The first run copies all documents; each run continues where the last one ended. SIGINT and SIGTERM end it after the
current batch with exit code 0. At most one sync runs for a target. Walkthrough: docs/following.md.`,
    )
    .action((flags: SyncFlags) => runSync(context, flags));
}
