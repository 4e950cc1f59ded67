/** The command `status`. */
import type { Command } from "commander";
import type { Pool } from "../../db/pg/connect.ts";
import { AppError, describeError } from "../../errors.ts";
import { parseConfig, readEnvironment } from "../../config.ts";
import { quoted } from "../../phrases.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, options, printResult, progressOf, withPool } from "./context.ts";
import { countAtPosition, countSettled, countTarget, type LiveEquation } from "./ledger/live_count.ts";
import { findFollowedIdentity } from "../../db/migration/following.ts";
import { formatStatus, readStatus } from "./ledger/status.ts";
import type { FollowedMongo } from "./sources/mongo_follow.ts";
import { openFollowedSource } from "./sources/open.ts";

/** Default and maximum wait of `--settled`. */
const waitSecondsDefault = 120;
const waitSecondsMax = 86_400;

interface StatusFlags {
  from?: string;
  settled?: number | true;
  json?: true;
  quiet?: true;
}

function parseWait(text: string): number {
  const seconds = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (seconds >= 1 && seconds <= waitSecondsMax) return seconds;
  throw new AppError("usage", `--settled ${quoted(text)}: wanted seconds from 1 to ${waitSecondsMax}`);
}

/** Returns the source that is asked: the one of the command line, or MONGODB_URL where it is set. */
function chooseFrom({ from }: StatusFlags): string | undefined {
  return from ?? (parseConfig(readEnvironment(), "migrate").MONGODB_URL === "" ? undefined : "mongodb");
}

async function settle(
  context: DataContext,
  flags: StatusFlags,
  pool: Pool,
  source: FollowedMongo,
): Promise<LiveEquation> {
  const progress = progressOf(flags);
  progress.begin("waiting until the source is quiet", 0);
  try {
    return await countSettled(pool, source, {
      waitSeconds: flags.settled === true ? waitSecondsDefault : flags.settled!,
      signal: context.signal,
      onWait: () => progress.add(0, 0),
    });
  } finally {
    progress.end();
  }
}

/** Counts both sides of the followed source, if there is one. */
async function countBoth(
  context: DataContext,
  flags: StatusFlags,
  pool: Pool,
): Promise<LiveEquation | undefined> {
  const identity = await findFollowedIdentity(pool);
  const from = chooseFrom(flags);
  if (identity === undefined) {
    if (flags.settled === undefined && flags.from === undefined) return undefined;
    throw new AppError("usage", "status --from and --settled: no source is followed; 'sync' follows one");
  }
  if (from === undefined) {
    if (flags.settled !== undefined) throw new AppError("usage", "--settled: wanted together with --from");
    return undefined;
  }
  let source: FollowedMongo;
  try {
    source = await openFollowedSource(from);
  } catch (error) {
    // Without --from, the status of the target is what is wanted.
    if (flags.from !== undefined || flags.settled !== undefined) throw error;
    return await countTarget(pool, describeError(error));
  }
  await using opened = source;
  if (opened.identity !== identity) {
    const text = `'${opened.location}' is not the source that is followed`;
    if (flags.from === undefined && flags.settled === undefined) return await countTarget(pool, text);
    throw new AppError("source_changed", `counting documents: ${text}; wanted the MongoDB that 'sync' names`);
  }
  if (flags.settled !== undefined) return await settle(context, flags, pool, opened);
  return await countAtPosition(pool, opened);
}

/** @throws AppError ledger_unbalanced */
export function checkBalance(verdict: string): void {
  if (verdict === "unbalanced") {
    throw new AppError(
      "ledger_unbalanced",
      "checking the ledger: its counts do not add up, see the lines with ✗",
    );
  }
}

async function runStatus(context: DataContext, flags: StatusFlags): Promise<void> {
  const status = await withPool(context, async (pool) => {
    await requireSchema(pool);
    return await readStatus(pool, await countBoth(context, flags, pool));
  });
  printResult(context, flags, status, () => formatStatus(status));
  checkBalance(status.verdict);
}

/** Adds the command `status`. */
export function addStatus(data: Command, context: DataContext): void {
  data.command("status")
    .description(
      "check the ledger: every document has a row or a reason; tell how the followed source is doing",
    )
    .option(
      "--from <source>",
      "count the documents of the followed MongoDB; MONGODB_URL, where it is set, does so too",
    )
    .option(
      "--settled [seconds]",
      `wait until the source is quiet, at most ${waitSecondsDefault} s, and prove the counts`,
      parseWait,
    )
    .option(...options.json)
    .option(...options.quiet)
    .addHelpText(
      "after",
      `
For a followed source, the documents are counted at the position of the rows: documents = exact + adjusted + quarantined
+ waiting + excluded. While it changes, a count may lie between two changes; --settled waits for a moment without any. The
exit code is 3 when the counts do not add up, and 75 when the source did not become quiet.`,
    )
    .action((flags: StatusFlags) => runStatus(context, flags));
}
