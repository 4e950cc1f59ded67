/** The commands of the way back: `capture` and `back`. */
import type { Command } from "commander";
import { parseConfig, readEnvironment } from "../../config.ts";
import { readWayBack } from "../../db/migration/following.ts";
import type { Pool } from "../../db/pg/connect.ts";
import { requireWritableServer } from "../../db/pg/server.ts";
import { AppError } from "../../errors.ts";
import { counted, quoted } from "../../phrases.ts";
import { printError } from "../../process.ts";
import { requireSchema } from "../schema/runner.ts";
import { type BatchReport, writeBack } from "./back/back.ts";
import { countChanges, disableCapture, enableCapture, isCaptureEnabled } from "./back/capture.ts";
import { BackReporter, type BackResult, formatBack, formatBackVerdict } from "./back/format.ts";
import { checkPreconditions } from "./back/preconditions.ts";
import { verifyBack } from "./back/verify.ts";
import { type DataContext, followChecks, options, printResult, progressOf, withPool } from "./context.ts";
import { withSharedMigratorLock } from "./ledger/lock.ts";
import type { FollowedMongo } from "./sources/mongo_follow.ts";
import { openFollowedSource } from "./sources/open.ts";
import { Lease } from "./sync/lease.ts";
import { failpoint } from "./tools/failpoint.ts";
import { createBackMetrics, serveAdmin } from "./tools/follow_metrics.ts";

interface BackFlags {
  to: string;
  once?: true;
  verify?: true;
  otherDatabase?: true;
  json?: true;
  quiet?: true;
}

async function openTarget(to: string): Promise<FollowedMongo> {
  if (to !== "mongodb" && !/^mongodb(?:\+srv)?:\/\//i.test(to)) {
    throw new AppError("usage", `--to ${quoted(to)}: wanted 'mongodb' or mongodb://…`);
  }
  return await openFollowedSource(to);
}

async function runVerify(context: DataContext, flags: BackFlags, target: FollowedMongo): Promise<void> {
  const { signal } = context;
  const verdict = await withPool(context, async (pool) => {
    await requireSchema(pool);
    return await verifyBack(pool, target, { progress: progressOf(flags), signal });
  });
  printResult(context, flags, verdict, () => formatBackVerdict(verdict));
  if (verdict.differences === 0) return;
  throw new AppError(
    "differences_found",
    `comparing both sides: ${counted(verdict.differences, "difference")} between MongoDB and the rows`,
  );
}

/** Interval at which the changes that are left are counted, in milliseconds. */
const countMs = 5000;

/** Serves the metrics of the way back. */
function serveMetrics(pool: Pool, source: FollowedMongo, signal: AbortSignal) {
  const metrics = createBackMetrics();
  const config = parseConfig(readEnvironment(), "migrate");
  const checks = followChecks(pool, source);
  const admin = serveAdmin({ config, registry: metrics.registry, checks, signal });
  const count = async () => {
    const { changes, lag_seconds } = await readWayBack(pool);
    metrics.pending.set(changes);
    metrics.lag.set(lag_seconds ?? 0);
  };
  const timer = setInterval(() => count().catch(() => {}), countMs);
  return {
    fault: admin.fault,
    add({ changes, documents, refused }: BatchReport): void {
      metrics.changes.inc(changes);
      metrics.documents.inc(documents);
      metrics.refused.set(refused.length);
    },
    async [Symbol.asyncDispose](): Promise<void> {
      clearInterval(timer);
      await admin[Symbol.asyncDispose]();
    },
  };
}

async function runWrites(context: DataContext, flags: BackFlags, source: FollowedMongo): Promise<BackResult> {
  const { signal } = context;
  const onNote = (note: string) => {
    if (!flags.quiet) printError(flags.json ? JSON.stringify({ note }) : `note: ${note}`);
  };
  source.notes.forEach(onNote);
  return await withPool(context, async (pool) => {
    await requireWritableServer(pool);
    await requireSchema(pool);
    return await withSharedMigratorLock(pool, "back", async () => {
      const started = performance.now();
      await checkPreconditions(pool, source, { acceptOther: flags.otherDatabase ?? false, onNote });
      failpoint("back.checked");
      await using lease = await Lease.acquire(pool, "back");
      failpoint("back.lease_acquired");
      using reporter = new BackReporter({ json: flags.json ?? false, quiet: flags.quiet ?? false });
      await using admin = serveMetrics(pool, source, signal);
      if (admin.fault !== undefined) onNote(admin.fault);
      const refused = await writeBack({ pool, source, lease }, {
        once: flags.once ?? false,
        onBatch: (report) => {
          reporter.add(report);
          admin.add(report);
        },
        onNote,
        signal,
      });
      return {
        changes: reporter.changes,
        documents: reporter.documents,
        refused,
        lag_ms: Math.round(reporter.lagMs),
        pending: await countChanges(pool),
        stopped: signal.aborted,
        seconds: (performance.now() - started) / 1000,
      };
    });
  });
}

async function runBack(context: DataContext, flags: BackFlags): Promise<void> {
  await using target = await openTarget(flags.to);
  failpoint("back.opened");
  if (flags.verify) return await runVerify(context, flags, target);
  const result = await runWrites(context, flags, target);
  printResult(context, flags, result, () => formatBack(result));
  if (result.refused.length === 0) return;
  throw new AppError(
    "documents_refused",
    `back: MongoDB refuses ${counted(result.refused.length, "document")}, whose changes are kept`,
  );
}

interface CaptureFlags {
  force?: true;
  json?: true;
}

async function runCapture(
  context: DataContext,
  wanted: string | undefined,
  flags: CaptureFlags,
): Promise<void> {
  if (wanted !== undefined && wanted !== "on" && wanted !== "off") {
    throw new AppError(
      "usage",
      `capture ${quoted(wanted)}: wanted 'on' or 'off', or nothing to be told the state`,
    );
  }
  const state = await withPool(context, async (pool) => {
    await requireSchema(pool);
    if (wanted === "on") await enableCapture(pool);
    if (wanted === "off") {
      const changes = await countChanges(pool);
      if (changes > 0 && !flags.force) {
        throw new AppError(
          "conflict",
          `capture off: ${
            counted(changes, "change")
          } not written to MongoDB yet; run 'deno task migrate data back ` +
            "--to mongodb --once' first, or add --force",
        );
      }
      await disableCapture(pool);
    }
    return { capture: await isCaptureEnabled(pool), changes: await countChanges(pool) };
  });
  printResult(
    context,
    flags,
    state,
    () =>
      `changes are ${state.capture ? "captured" : "not captured"}; ${
        counted(state.changes, "change")
      } not written to MongoDB yet`,
  );
}

/** Adds the commands `capture` and `back`. */
export function addBack(data: Command, context: DataContext): void {
  data.command("capture")
    .description("record changes for the way back: on, off, or the state now")
    .argument("[state]", "on or off")
    .option("--force", "with off: even if recorded changes are not written yet")
    .option(...options.json)
    .action((state: string | undefined, flags: CaptureFlags) => runCapture(context, state, flags));
  data.command("back")
    .description(
      "write the changes made here to MongoDB, as documents that the old backend reads, until stopped",
    )
    .requiredOption("--to <target>", "mongodb://… URL, or 'mongodb' for MONGODB_URL and DB_NAME")
    .option("--once", "end when all changes up to now are written")
    .option("--verify", "write nothing; compare both sides byte for byte")
    .option("--other-database", "accept another database than the one that was followed")
    .option(...options.json)
    .option(...options.quiet)
    .addHelpText(
      "after",
      `
'capture on' begins to record changes, when both sides are equal. SIGINT and SIGTERM end 'back' after the current batch
with exit code 0; the next run continues. At most one runs for a target. Walkthrough: docs/following.md.`,
    )
    .action((flags: BackFlags) => runBack(context, flags));
}
