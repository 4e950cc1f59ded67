/** The command `sync`: follows a MongoDB that keeps changing. */
import type { Command } from "commander";
import { parseConfig, readEnvironment } from "../../config.ts";
import type { Pool } from "../../db/pg/connect.ts";
import { requireWritableServer } from "../../db/pg/server.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, followChecks, options, progressOf, withPool } from "./context.ts";
import { withSharedMigratorLock } from "./ledger/lock.ts";
import type { FollowedMongo } from "./sources/mongo_follow.ts";
import { openFollowedSource } from "./sources/open.ts";
import { follow } from "./sync/follow.ts";
import { Lease } from "./sync/lease.ts";
import { watchFreeze } from "./sync/orphaned_freeze.ts";
import { SyncReporter } from "./sync/reporter.ts";
import { startFollow } from "./sync/start.ts";
import { failpoint } from "./tools/failpoint.ts";
import { createSyncMetrics, serveAdmin } from "./tools/follow_metrics.ts";

interface SyncFlags {
  from: string;
  once?: true;
  poll?: true;
  restart?: true;
  acceptShortOplog?: true;
  json?: true;
  quiet?: true;
}

/** Copies and follows until the signal is aborted, or once. The process holds the lease. */
async function runFollow(
  context: DataContext,
  flags: SyncFlags,
  { pool, source, reporter, lease }: {
    pool: Pool;
    source: FollowedMongo;
    reporter: SyncReporter;
    lease: Lease;
  },
): Promise<void> {
  const onNote = (note: string) => reporter.note(note);
  const { fingerprint } = await startFollow(pool, source, {
    mode: flags.poll ? "poll" : "stream",
    restart: flags.restart ?? false,
    acceptShortOplog: flags.acceptShortOplog ?? false,
  }, onNote);
  reporter.start();
  const progress = reporter.wrap(progressOf(flags));
  await follow(
    { pool, source, lease, fingerprint, progress, onNote, signal: context.signal },
    {
      once: flags.once ?? false,
      onBatch: (report) => reporter.add(report),
      onRetry: (message) => reporter.retry(message),
    },
  );
  await reporter.finish();
  context.print(reporter.summary(context.signal.aborted));
}

async function runSync(context: DataContext, flags: SyncFlags): Promise<void> {
  await using source = await openFollowedSource(flags.from);
  await withPool(context, async (pool) => {
    await requireWritableServer(pool);
    await requireSchema(pool);
    const metrics = createSyncMetrics();
    const { json = false, quiet = false } = flags;
    using reporter = new SyncReporter({ pool, source, metrics, json, quiet });
    source.notes.forEach((note) => reporter.note(note));
    await using admin = serveAdmin({
      config: parseConfig(readEnvironment(), "migrate"),
      registry: metrics.registry,
      checks: followChecks(pool, source),
      signal: context.signal,
    });
    if (admin.fault !== undefined) reporter.note(admin.fault);
    await withSharedMigratorLock(pool, "sync", async () => {
      await using lease = await Lease.acquire(pool, "sync");
      failpoint("sync.lease_acquired");
      await using _freeze = watchFreeze(pool, source, (note) => reporter.note(note));
      await runFollow(context, flags, { pool, source, reporter, lease });
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
current batch with exit code 0. At most one sync runs for a target. ADMIN_PORT serves /live, /ready and /metrics.
  deno task migrate data sync --from mongodb --once       copy, catch up, and end
  deno task migrate data sync --from mongodb              follow until stopped
  deno task migrate data status --from mongodb            what it does now, and what to do next
  deno task migrate data sync --from mongodb --restart    compare both sides after 'STOPPED' and go on from now
Walkthrough: docs/following.md.`,
    )
    .action((flags: SyncFlags) => runSync(context, flags));
}
