/** `deno task shadow`: sends the same requests to the old and the new backend and reports every difference. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import progress from "cli-progress";
import { AppError } from "../../errors.ts";
import { print, runMain } from "../../process.ts";
import { readRecording } from "./recorded.ts";
import { renderReport, reportToJson, unexplained } from "./report.ts";
import { runShadow } from "./run.ts";
import { requireSameSetup } from "./setup.ts";
import { Side } from "./side.ts";
import { describeUsageError, refuseEmptyTexts } from "../../arguments.ts";

/** Options of the command line. */
interface Flags {
  old: string;
  new: string;
  seed?: number;
  runs: number;
  recorded?: string;
  email?: string;
  password?: string;
  token?: string;
  oldToken?: string;
  newToken?: string;
  writes: boolean;
  json: boolean;
}

/** The exit codes of the command, as in docs/shadow.md. */
export const exitCodes: Record<number, string> = {
  0: "no unexplained difference",
  1: "unexplained differences",
  64: "wrong usage, no answer at a URL, or a rejected sign-in or token",
  65: "a file that is not a recording",
  66: "a missing file",
  78: "different set-up: only one backend accepts a token",
  130: "interrupted with Ctrl-C before a difference was found",
};

/** Returns a parser of integers in a range. */
function parseInteger(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= min && value <= max) return value;
    throw new InvalidArgumentError(`Expected an integer from ${min} to ${max}.`);
  };
}

/** Creates the command. Invalid arguments throw a CommanderError. */
export function createCommand(): Command {
  const fromEnv = (flags: string, help: string, name: string) => new Option(flags, help).env(name);
  return new Command("deno task shadow")
    .description(
      "Sends the same requests to two backends and reports every difference by route and JSON path.",
    )
    .requiredOption("--old <url>", "reference backend")
    .requiredOption("--new <url>", "backend to compare with it")
    .option(
      "--seed <number>",
      "seed of the generated requests (default: random, printed)",
      parseInteger(-(2 ** 31), 2 ** 31 - 1),
    )
    .option("--runs <number>", "number of generated requests", parseInteger(0, 1_000_000), 500)
    .option("--recorded <file>", "file of recorded requests to send first, one JSON object per line")
    .addOption(fromEnv("--email <email>", "e-mail to sign in at both", "SHADOW_EMAIL"))
    .addOption(fromEnv("--password <text>", "password; prefer the environment variable", "SHADOW_PASSWORD"))
    .addOption(fromEnv("--token <jwt>", "token for both backends, instead of signing in", "SHADOW_TOKEN"))
    .addOption(fromEnv("--old-token <jwt>", "token for the old backend", "SHADOW_OLD_TOKEN"))
    .addOption(fromEnv("--new-token <jwt>", "token for the new backend", "SHADOW_NEW_TOKEN"))
    .option("--reads-only", "send only requests that store nothing (default)")
    .addOption(
      new Option("--writes", "also create, change and delete; use only on copies of the data").default(false)
        .conflicts(
          "readsOnly",
        ),
    )
    .option("--json", "print one JSON object instead of the report", false)
    .addHelpText(
      "after",
      `\nExit codes:\n${
        Object.entries(exitCodes).map(([code, meaning]) => `  ${code.padEnd(3)}  ${meaning}`).join("\n")
      }\nSee docs/shadow.md.`,
    )
    .exitOverride()
    // The detection of colours would read environment variables without permission.
    .configureOutput({ writeErr: () => {}, getOutHasColors: () => false, getErrHasColors: () => false });
}

/** Checks that a backend answers, and obtains a token. */
async function signIn(side: Side, token: string | undefined, flags: Flags): Promise<void> {
  await side.requireAnswer();
  if (token !== undefined) side.variables.set("token", token);
  else if (flags.email !== undefined && flags.password !== undefined) {
    await side.signIn(flags.email, flags.password);
  } else {
    throw new AppError(
      "usage",
      `signing in at --${side.name}: no token, and no e-mail and password: set ` +
        `SHADOW_EMAIL and SHADOW_PASSWORD, SHADOW_TOKEN, or SHADOW_${side.name.toUpperCase()}_TOKEN`,
    );
  }
}

/**
 * Runs the command.
 *
 * @returns 1 if a difference is unexplained, otherwise 130 if the run was interrupted, otherwise 0
 * @throws AppError usage; invalid_config if only one backend accepts a token; source_missing, invalid_source
 */
export async function compareBackends(args: string[], signal?: AbortSignal): Promise<number> {
  const command = createCommand();
  refuseEmptyTexts(command);
  try {
    command.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw new AppError("usage", `reading the options: ${describeUsageError(error.message)}; see --help`);
  }
  const flags = command.opts<Flags>();
  using old = new Side("old", flags.old);
  using now = new Side("new", flags.new);
  const recorded = flags.recorded === undefined ? [] : await readRecording(flags.recorded);
  await signIn(old, flags.oldToken ?? flags.token, flags);
  await signIn(now, flags.newToken ?? flags.token, flags);
  // Each backend must accept the other's tokens: during a gradual migration, a browser talks to both.
  old.variables.set("other", now.variables.get("token")!);
  now.variables.set("other", old.variables.get("token")!);
  await requireSameSetup(old, now);

  const bar = new progress.SingleBar({
    format: "shadow {bar} {percentage}% | {value}/{total} | {eta_formatted} left",
    hideCursor: true,
    clearOnComplete: true,
  }, progress.Presets.shades_classic);
  const isShown = Deno.stderr.isTerminal() && !flags.json;
  if (isShown) bar.start(flags.runs + recorded.length, 0);
  const result = await runShadow({
    old,
    new: now,
    seed: flags.seed ?? crypto.getRandomValues(new Int32Array(1))[0]!,
    runs: flags.runs,
    withWrites: flags.writes,
    recorded,
    ...(signal ? { signal } : {}),
    ...(isShown ? { onProgress: (done: number) => bar.update(done) } : {}),
  }).finally(() => bar.stop());
  if (flags.json) print(reportToJson(result, now.origin));
  else for (const line of renderReport(result, now.origin)) print(line);
  // An incomplete run proves nothing and must not exit with 0.
  return unexplained(result).length > 0 ? 1 : result.isComplete ? 0 : 130;
}

if (import.meta.main) await runMain((signal) => compareBackends(Deno.args, signal));
