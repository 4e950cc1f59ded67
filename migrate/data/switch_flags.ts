/** Options of the commands that switch between both systems. */
import type { Command } from "commander";
import { AppError } from "../../errors.ts";
import { quoted } from "../../phrases.ts";
import { options } from "./context.ts";
import { type FreezeWay, pauseMsDefault, type SwitchOptions } from "./cutover/options.ts";
import { parseDecision } from "./commands_ledger.ts";
import type { Decision } from "./ledger/unfinished.ts";

/** What an operator decides by flags. */
export interface DecisionFlags {
  from: string;
  drain?: number;
  unfinished?: Decision;
  freezeHook?: string;
  freezeConfirmed?: true;
  maxPause?: number;
  accept?: string[];
  oldToken?: string;
  by?: string;
  json?: true;
}

const units: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Parses a duration such as `10m`. */
export const parseDuration = (option: string) => (text: string): number => {
  const [, number, unit] = /^(\d{1,6})(ms|s|m|h)$/.exec(text) ?? [];
  if (number !== undefined) return Number(number) * units[unit!]!;
  throw new AppError("usage", `${option} ${quoted(text)}: wanted a duration such as 500ms, 30s, 10m or 1h`);
};

function freezeOf({ freezeHook, freezeConfirmed }: DecisionFlags): FreezeWay {
  if (freezeHook !== undefined && freezeConfirmed) {
    throw new AppError("usage", "--freeze-hook and --freeze-confirmed: wanted one of them");
  }
  if (freezeConfirmed) return { way: "confirmed" };
  if (freezeHook === undefined) return { way: "mongodb" };
  if (/^https?:\/\//.test(freezeHook) && URL.canParse(freezeHook)) return { way: "hook", url: freezeHook };
  throw new AppError("usage", `--freeze-hook ${quoted(freezeHook)}: wanted http://… or https://…`);
}

/** Returns what the flags decide. */
export const optionsOf = (flags: DecisionFlags): SwitchOptions => ({
  drainMs: flags.drain ?? null,
  unfinished: flags.unfinished ?? null,
  freeze: freezeOf(flags),
  pauseMsMax: flags.maxPause ?? pauseMsDefault,
  accept: flags.accept ?? [],
});

const collect = (value: string, all: string[] = []): string[] => [...all, value];

/** Adds the options of every command of the switch. */
export const addShared = (command: Command): Command =>
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

/** Adds the options of commands that stop the old backend. */
export const addFreeze = (command: Command): Command =>
  command
    .option("--drain <time>", "wait until the old executor has nothing under way", parseDuration("--drain"))
    .option("--unfinished <decision>", "resume, cancel or keep unfinished tasks", parseDecision)
    .option(
      "--freeze-hook <url>",
      'URL that stops the old backend\'s writes: POST {"action": "freeze" or "thaw"}',
    )
    .option("--freeze-confirmed", "you have stopped the old backend and its executor yourself")
    .option("--old-token <token>", "a token that the old backend has signed");
