/** The command `move`: a guide through the whole move from the old backend to this system. */
import type { Command } from "commander";
import { parseConfig, readEnvironment } from "../../config.ts";
import { requireWritableServer } from "../../db/pg/server.ts";
import { AppError } from "../../errors.ts";
import { callHttp } from "../../http.ts";
import { quoted } from "../../phrases.ts";
import { type DataContext, options, withPool } from "./context.ts";
import { type MoveContext, type StageName, stageNames } from "./move/context.ts";
import { Dialogue } from "./move/dialogue.ts";
import { withMoveLock } from "./move/lock.ts";
import { reportMove, runMove } from "./move/move.ts";
import { openFollowedSource } from "./sources/open.ts";
import { addFreeze, addShared, type DecisionFlags, optionsOf, parseDuration } from "./switch_flags.ts";
import { operatorName } from "./tools/operator.ts";

interface MoveFlags extends DecisionFlags {
  yes?: true;
  status?: true;
  until: StageName;
  backupTo?: string;
  soak?: number;
  watch?: number;
  wait?: number;
  quiet?: true;
}

/** Time that the old executor gets to finish what it has under way. */
const drainMsDefault = 10 * 60_000;
const soakMsDefault = 10 * 60_000;
const watchMsDefault = 60 * 60_000;
const scriptWaitMsDefault = 60 * 60_000;

function parseStage(text: string): StageName {
  const found = stageNames.find((name) => name === text);
  if (found) return found;
  throw new AppError("usage", `--until ${quoted(text)}: wanted one of ${stageNames.join(", ")}`);
}

/** @throws AppError invalid_config that names every setting that is missing on this machine */
function readSettings() {
  const config = parseConfig(readEnvironment(), "migrate");
  const wanted = {
    SECRET_KEY: "the key of the old backend, which signs its tokens",
    LEGACY_API_URL: "the base URL of the old backend, as the API has it",
  } as const;
  const fields = Object.entries(wanted).flatMap(([field, text]) =>
    config[field as keyof typeof wanted] === "" ? [{ field, wanted: text }] : []
  );
  if (fields.length === 0) return config;
  throw new AppError("invalid_config", "move: settings are missing on this machine", { fields });
}

async function withMove<T>(
  context: DataContext,
  flags: MoveFlags,
  work: (moving: MoveContext) => Promise<T>,
): Promise<T> {
  const config = readSettings();
  const { print, signal } = context;
  const { yes = false, json = false, quiet = false } = flags;
  const dialogue = new Dialogue({ yes, json, quiet, print, signal });
  await using source = await openFollowedSource(flags.from);
  return await withPool(context, async (pool) => {
    await requireWritableServer(pool);
    return await work({
      switching: {
        pool,
        source,
        config,
        http: callHttp,
        by: operatorName(flags.by),
        oldToken: flags.oldToken,
        onNote: (note) => dialogue.note(note),
        signal,
      },
      from: flags.from,
      options: Object.assign(optionsOf(flags), { drainMs: flags.drain ?? drainMsDefault }),
      settings: {
        until: flags.until,
        backupTo: flags.backupTo,
        soakMs: flags.soak ?? soakMsDefault,
        watchMs: flags.watch ?? watchMsDefault,
        waitMs: flags.wait ?? (yes ? scriptWaitMsDefault : Infinity),
      },
      dialogue,
      assessed: undefined,
    });
  });
}

async function runMoveCommand(context: DataContext, flags: MoveFlags): Promise<void> {
  await withMove(context, flags, async (moving) => {
    const { pool, by } = moving.switching;
    const isLeft = flags.status ? false : await withMoveLock(pool, by, () => runMove(moving));
    const { report, text } = await reportMove(moving);
    if (flags.json) return context.print(JSON.stringify(report));
    context.print(flags.status ? text : `\n${text}`);
    if (isLeft) context.print("left: run the same command again to go on");
  });
}

/** Adds the command `move`. */
export function addMove(data: Command, context: DataContext): void {
  addFreeze(addShared(
    data.command("move").description(
      "walk through the whole move, from the first look to the end of the old backend; start here",
    ),
  ))
    .option("--status", "only show the stages, what runs, what was decided, and the next command")
    .option(
      "--yes",
      "for scripts: answer every question with yes; what only a person can know needs --accept",
    )
    .option("--until <stage>", "end after this stage", parseStage, "finish")
    .option("--backup-to <folder>", "new or empty folder of the backup")
    .option(
      "--soak <time>",
      "least time of each share of users (default: 10m)",
      parseDuration("--soak"),
      soakMsDefault,
    )
    .option(
      "--watch <time>",
      "least time between the cut-over and the end (default: 1h)",
      parseDuration("--watch"),
    )
    .option("--wait <time>", "with --yes: longest wait in a stage (default: 1h)", parseDuration("--wait"))
    .option(...options.quiet)
    .addHelpText(
      "after",
      `
Stages: ${stageNames.slice(0, 6).join(", ")}, canary-1, -5, -25, -100, ${stageNames.slice(10).join(", ")}.
The state of each stage is derived from both databases at every look. So you may leave at any moment, with q or Ctrl-C,
go on later or on another machine, and use the other commands in between; what was undone is open again. Processes that
run for long (sync, back, the API, workers) are yours to start: the guide names the command and waits.
Exit 0: finished, left with q, or everything up to --until is done. 1: somebody must decide, or an error of a stage.
75: another move runs, or the longest wait is over. 78: settings are missing here.`,
    )
    .action((flags: MoveFlags) => runMoveCommand(context, flags));
}
