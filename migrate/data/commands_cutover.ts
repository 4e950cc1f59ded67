/** The commands `cutover`, `rehearse` and `rollback`: the switch between the old backend and this system. */
import type { Command } from "commander";
import { type Config, parseConfig, readEnvironment } from "../../config.ts";
import { requireWritableServer } from "../../db/pg/server.ts";
import { AppError } from "../../errors.ts";
import { callHttp } from "../../http.ts";
import { quoted } from "../../phrases.ts";
import { printError } from "../../process.ts";
import { requireSchema } from "../schema/runner.ts";
import { type DataContext, options, printResult, withPool } from "./context.ts";
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
import { type FreezeWay, pauseMsDefault, type SwitchOptions } from "./cutover/options.ts";
import { countRemaining, rollBack } from "./cutover/rollback.ts";
import { readRollbackGate } from "./cutover/rollback_gate.ts";
import { operatorName } from "./cutover/operator.ts";
import { type Decision } from "./ledger/unfinished.ts";
import { openFollowedSource } from "./sources/open.ts";
import { parseDecision } from "./commands_ledger.ts";

interface SwitchFlags {
  from: string;
  abort?: true;
  continue?: true;
  check?: true;
  dryRun?: true;
  drain?: number;
  unfinished?: Decision;
  freezeHook?: string;
  freezeConfirmed?: true;
  maxPause?: number;
  accept?: string[];
  oldToken?: string;
  by?: string;
  yes?: true;
  json?: true;
}

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Parses a duration such as `10m`. */
const parseDuration = (option: string) => (text: string): number => {
  const [, number, unit] = /^(\d{1,6})(ms|s|m|h)$/.exec(text) ?? [];
  if (number !== undefined) return Number(number) * units[unit!]!;
  throw new AppError("usage", `${option} ${quoted(text)}: wanted a duration such as 500ms, 30s, 10m or 1h`);
};

function freezeOf({ freezeHook, freezeConfirmed }: SwitchFlags): FreezeWay {
  if (freezeHook !== undefined && freezeConfirmed) {
    throw new AppError("usage", "--freeze-hook and --freeze-confirmed: wanted one of them");
  }
  if (freezeConfirmed) return { way: "confirmed" };
  if (freezeHook === undefined) return { way: "mongodb" };
  if (/^https?:\/\//.test(freezeHook) && URL.canParse(freezeHook)) return { way: "hook", url: freezeHook };
  throw new AppError("usage", `--freeze-hook ${quoted(freezeHook)}: wanted http://… or https://…`);
}

const optionsOf = (flags: SwitchFlags): SwitchOptions => ({
  drainMs: flags.drain ?? null,
  unfinished: flags.unfinished ?? null,
  freeze: freezeOf(flags),
  pauseMsMax: flags.maxPause ?? pauseMsDefault,
  accept: flags.accept ?? [],
});

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

const collect = (value: string, all: string[] = []): string[] => [...all, value];

const addShared = (command: Command): Command =>
  command
    .option(
      "--from <source>",
      "the old database: mongodb://… URL, or 'mongodb' for MONGODB_URL and DB_NAME",
      "mongodb",
    )
    .option("--accept <name>", "accept a check or quarantined documents by name; may be repeated", collect)
    .option("--max-pause <time>", "longest pause; longer ones are undone", parseDuration("--max-pause"))
    .option("--by <name>", "who decides, for the journal (default: USER@HOST)")
    .option(...options.json);

const addFreeze = (command: Command): Command =>
  command
    .option("--drain <time>", "wait until the old executor has nothing under way", parseDuration("--drain"))
    .option("--unfinished <decision>", "resume, cancel or keep unfinished tasks", parseDecision)
    .option(
      "--freeze-hook <url>",
      'URL that stops the old backend\'s writes: POST {"action": "freeze" or "thaw"}',
    )
    .option("--freeze-confirmed", "you have stopped the old backend and its executor yourself")
    .option("--old-token <token>", "a token that the old backend has signed");

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
