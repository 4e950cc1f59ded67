/** The command `verify`: compares documents with their rows, at rest or while both change. */
import type { Command } from "commander";
import { AppError } from "../../errors.ts";
import { counted } from "../../phrases.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, options, printResult, progressOf, withPool } from "./context.ts";
import { isMongo, openFollowedSource, openSource } from "./sources/open.ts";
import { formatVerdict } from "./verify/format.ts";
import { verifyLive } from "./verify/live.ts";
import { findFollowedNow } from "./verify/live_follow.ts";
import { formatLiveVerdict } from "./verify/live_result.ts";
import { verify } from "./verify/verify.ts";

interface VerifyFlags {
  from: string;
  live?: true;
  again?: true;
  json?: true;
  quiet?: true;
}

/** @throws AppError differences_found */
function checkDifferences(differences: number): void {
  if (differences === 0) return;
  throw new AppError(
    "differences_found",
    `verifying: ${counted(differences, "difference")} between the source and the rows`,
  );
}

async function runVerifyLive(context: DataContext, flags: VerifyFlags): Promise<void> {
  await using source = await openFollowedSource(flags.from);
  const { signal } = context;
  const started = performance.now();
  const verdict = await withPool(
    context,
    (pool) => verifyLive(pool, source, { progress: progressOf(flags), signal, again: flags.again ?? false }),
  );
  const seconds = (performance.now() - started) / 1000;
  printResult(context, flags, { ...verdict, seconds }, () => formatLiveVerdict(verdict));
  checkDifferences(verdict.differences);
}

/** @throws AppError source_changed when a sync follows this source now */
async function checkRests(context: DataContext, from: string): Promise<void> {
  if (!isMongo(from)) return;
  const followed = await withPool(context, async (pool) => {
    await requireSchema(pool);
    return await findFollowedNow(pool);
  });
  if (followed === undefined) return;
  await using source = await openFollowedSource(from);
  if (source.identity !== followed) return;
  throw new AppError(
    "source_changed",
    `verifying '${source.location}': a sync follows it, so its rows change while they are compared; use ` +
      "'verify --live'",
  );
}

async function runVerify(context: DataContext, flags: VerifyFlags): Promise<void> {
  if (flags.live) return await runVerifyLive(context, flags);
  await checkRests(context, flags.from);
  await using source = await openSource(flags.from);
  const { signal } = context;
  const started = performance.now();
  const verdict = await withPool(
    context,
    (pool) => verify(pool, source, { progress: progressOf(flags), signal, again: flags.again ?? false }),
  );
  const seconds = (performance.now() - started) / 1000;
  printResult(context, flags, { ...verdict, seconds }, () => formatVerdict(verdict));
  checkDifferences(verdict.differences);
}

/** Adds the command `verify`. */
export function addVerify(data: Command, context: DataContext): void {
  data.command("verify")
    .description(
      "compare the full content of every document with its row; run it again to continue after a stop",
    )
    .requiredOption(...options.from)
    .option("--live", "compare a source that 'sync' follows, while both sides change")
    .option("--again", "start from the beginning, even after an interrupted run")
    .option(...options.json)
    .option(...options.quiet)
    .addHelpText(
      "after",
      `
With --live a document that differs may only not be applied yet. It is compared again each time that 'sync' has applied
everything up to the last comparison, and reported when three comparisons in a row found the same.`,
    )
    .action((flags: VerifyFlags) => runVerify(context, flags));
}
