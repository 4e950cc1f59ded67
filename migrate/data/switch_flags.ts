/** Options of the commands that switch between both systems. */
import type { Command } from "commander";
import { AppError } from "../../errors.ts";
import { quoted } from "../../phrases.ts";
import { options } from "./context.ts";
import { type FreezeWay, pauseMsFor, type ProxyWay, type SwitchOptions } from "./cutover/options.ts";
import { parseDecision } from "./commands_ledger.ts";
import type { Decision } from "./ledger/unfinished.ts";

/** What an operator decides by flags. */
export interface DecisionFlags {
  from: string;
  drain?: number;
  unfinished?: Decision;
  freezeHook?: string;
  freezeConfirmed?: true;
  ownProxy?: true;
  proxyHook?: string;
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

function checkUrl(option: string, text: string): string {
  if (/^https?:\/\//.test(text) && URL.canParse(text)) return text;
  throw new AppError("usage", `${option} ${quoted(text)}: wanted http://… or https://…`);
}

function freezeOf({ freezeHook, freezeConfirmed }: DecisionFlags): FreezeWay {
  if (freezeHook !== undefined && freezeConfirmed) {
    throw new AppError("usage", "--freeze-hook and --freeze-confirmed: wanted one of them");
  }
  if (freezeConfirmed) return { way: "confirmed" };
  if (freezeHook === undefined) return { way: "mongodb" };
  return { way: "hook", url: checkUrl("--freeze-hook", freezeHook) };
}

function proxyOf({ proxyHook, ownProxy }: DecisionFlags): ProxyWay {
  if (proxyHook !== undefined && ownProxy) {
    throw new AppError(
      "usage",
      "--own-proxy and --proxy-hook: wanted one of them; the first asks you, not a URL",
    );
  }
  if (ownProxy) return { way: "confirmed" };
  if (proxyHook === undefined) return { way: "front" };
  return { way: "hook", url: checkUrl("--proxy-hook", proxyHook) };
}

/** Returns what the flags decide. */
export const optionsOf = (flags: DecisionFlags): SwitchOptions => ({
  drainMs: flags.drain ?? null,
  unfinished: flags.unfinished ?? null,
  freeze: freezeOf(flags),
  proxy: proxyOf(flags),
  pauseMsMax: flags.maxPause ?? pauseMsFor(proxyOf(flags)),
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
    .option(
      "--own-proxy",
      "a proxy of yours stands before both systems, and you switch it when you are asked",
    )
    .option(
      "--proxy-hook <url>",
      'URL that switches your own proxy: POST {"action": "hold", "new", "old" or "resume"}',
    )
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
