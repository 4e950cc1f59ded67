/** The commands `cutover`, `rehearse` and `rollback`: the switch between the old backend and this system. */
import type { Command } from "commander";
import { type Config, parseConfig, readEnvironment } from "../../config.ts";
import { requireWritableServer } from "../../db/pg/server.ts";
import { AppError } from "../../errors.ts";
import { callHttp } from "../../http.ts";
import { printError } from "../../process.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, printResult, withPool } from "./context.ts";
import { abortCutover, continueCutover } from "./cutover/continue.ts";
import type { SwitchContext } from "./cutover/context.ts";
import { cutOver, rehearse } from "./cutover/cutover.ts";
import { saveAcceptances } from "./cutover/decisions.ts";
import {
  formatContinued,
  formatCutover,
  formatDryRun,
  formatGate,
  formatRollback,
} from "./cutover/format.ts";
import { readGate } from "./cutover/gate.ts";
import { withCutoverLock } from "./cutover/journal.ts";
import { countRemaining, rollBack } from "./cutover/rollback.ts";
import { readRollbackGate } from "./cutover/rollback_gate.ts";
import { createConfirm, operatorName } from "./tools/operator.ts";
import { openFollowedSource } from "./sources/open.ts";
import { addFreeze, addShared, type DecisionFlags, optionsOf } from "./switch_flags.ts";

interface SwitchFlags extends DecisionFlags {
  abort?: true;
  continue?: true;
  check?: true;
  dryRun?: true;
  yes?: true;
}

const readConfig = (): Config => parseConfig(readEnvironment(), "migrate");

/** Opens both sides, and runs `work`. */
async function withSwitch<T>(
  context: DataContext,
  flags: SwitchFlags,
  work: (context: SwitchContext) => Promise<T>,
): Promise<T> {
  await using source = await openFollowedSource(flags.from);
  return await withPool(context, async (pool) => {
    await requireWritableServer(pool);
    await requireSchema(pool);
    return await work({
      pool,
      source,
      config: readConfig(),
      http: callHttp,
      by: operatorName(flags.by),
      oldToken: flags.oldToken,
      onNote: (note) => flags.json ? undefined : printError(note),
      signal: context.signal,
      confirm: createConfirm(context.signal),
    });
  });
}

/** @throws AppError usage unless the operator has said yes */
function requireYes({ yes, json }: SwitchFlags, question: string): void {
  if (yes) return;
  const isTerminal = Deno.stdin.isTerminal();
  if (!json && isTerminal && /^y(es)?$/i.test(prompt(`${question} [y/N]`)?.trim() ?? "")) return;
  throw new AppError("usage", `${question} Answer yes, or add --yes`);
}

async function runCheck(context: DataContext, flags: SwitchFlags): Promise<void> {
  const gate = await withSwitch(context, flags, async (switching) => {
    const options = optionsOf(flags);
    await saveAcceptances(switching, options.accept);
    return await readGate(switching, options);
  });
  printResult(context, flags, gate, () => formatGate(gate.checks));
  if (gate.isReady) return;
  const open = gate.checks.filter(({ state }) => state === "not_ready" || state === "unknown");
  throw new AppError("conflict", `not ready to cut over: ${open.map(({ name }) => name).join(", ")}`);
}

async function runCutover(context: DataContext, flags: SwitchFlags): Promise<void> {
  if (flags.check) return await runCheck(context, flags);
  if (flags.abort && flags.continue) {
    throw new AppError("usage", "--abort and --continue: wanted one of them");
  }
  if ((flags.abort || flags.continue) && (flags.ownProxy || flags.proxyHook !== undefined)) {
    throw new AppError(
      "usage",
      "--own-proxy and --proxy-hook: --abort and --continue do as was decided before; leave them out",
    );
  }
  const options = optionsOf(flags);
  if (!flags.abort && !flags.continue) {
    requireYes(flags, "cut over: from then on this system answers all writes, not the old backend.");
  }
  await withSwitch(context, flags, async (switching) => {
    await withCutoverLock(switching.pool, "cutting over", async () => {
      if (flags.abort) {
        const aborted = await abortCutover(switching);
        return printResult(
          context,
          flags,
          aborted,
          () => `${aborted.kind} ${aborted.id} is undone: everything is as before`,
        );
      }
      if (flags.continue) {
        const continued = await continueCutover(switching);
        return printResult(context, flags, continued, () => formatContinued(continued));
      }
      const result = await cutOver(switching, options);
      printResult(context, flags, result, () => formatCutover(result));
    });
  });
}

async function runRehearse(context: DataContext, flags: SwitchFlags): Promise<void> {
  const result = await withSwitch(
    context,
    flags,
    (switching) => withCutoverLock(switching.pool, "rehearsing", () => rehearse(switching, optionsOf(flags))),
  );
  printResult(context, flags, result, () => formatCutover(result));
}

async function runRollback(context: DataContext, flags: SwitchFlags): Promise<void> {
  if (flags.dryRun) {
    const report = await withSwitch(context, flags, async (switching) => {
      const gate = await readRollbackGate(switching, optionsOf(flags));
      return { ready: gate.isReady, checks: gate.checks, remaining: await countRemaining(switching.pool) };
    });
    return printResult(context, flags, report, () => formatDryRun(report));
  }
  requireYes(flags, "roll back: from then on the old backend answers all writes, not this system.");
  const result = await withSwitch(
    context,
    flags,
    (switching) => withCutoverLock(switching.pool, "going back", () => rollBack(switching, optionsOf(flags))),
  );
  printResult(context, flags, result, () => formatRollback(result));
}

/** Adds the commands `rehearse`, `cutover` and `rollback`. */
export function addCutover(data: Command, context: DataContext): void {
  addFreeze(addShared(
    data.command("rehearse").description("do everything of a cut-over but the switch, and predict its pause"),
  )).action((flags: SwitchFlags) => runRehearse(context, flags));
  addFreeze(addShared(
    data.command("cutover").description("put this system in charge: check, hold, freeze, catch up, switch"),
  ))
    .option("--check", "only print the checks")
    .option("--abort", "undo what a killed cut-over or rollback left")
    .option("--continue", "go on after a cut-over or rollback was killed")
    .option("--yes", "do not ask")
    .addHelpText(
      "after",
      `
A failure or a kill before the switch leaves the old backend in charge. Exit 0: this system is in charge.`,
    )
    .action((flags: SwitchFlags) => runCutover(context, flags));
  addShared(data.command("rollback").description("put the old backend in charge again"))
    .option("--dry-run", "only check, and count what stays in PostgreSQL")
    .option("--yes", "do not ask")
    .action((flags: SwitchFlags) => runRollback(context, flags));
}
