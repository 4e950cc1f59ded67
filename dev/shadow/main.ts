/** `deno task shadow`: the same requests to the old and the new backend, and every difference explained. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import progress from "cli-progress";
import { AppError } from "../../errors.ts";
import { print, runMain } from "../../process.ts";
import { readRecording } from "./recorded.ts";
import { renderReport, reportToJson, unexplained } from "./report.ts";
import { runShadow } from "./run.ts";
import { Side } from "./side.ts";

interface Given {
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

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^-?\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`wanted a whole number from ${least} to ${most}.`);
  };
}

/** A command whose faults are thrown as usage errors. */
export function createCommand(): Command {
  const fromEnv = (flags: string, help: string, name: string) => new Option(flags, help).env(name);
  return new Command("deno task shadow")
    .description(
      "Sends the same requests to two backends and explains every difference by route and JSON path.",
    )
    .requiredOption("--old <url>", "the backend that is right")
    .requiredOption("--new <url>", "the backend that is held against it")
    .option(
      "--seed <number>",
      "of the made-up requests; drawn and printed unless given",
      whole(-(2 ** 31), 2 ** 31 - 1),
    )
    .option("--runs <number>", "requests to make up", whole(0, 1_000_000), 500)
    .option("--recorded <file>", "recorded calls to send first, a JSON object a line")
    .addOption(fromEnv("--email <email>", "signs in at both", "SHADOW_EMAIL"))
    .addOption(fromEnv("--password <text>", "better given by the environment", "SHADOW_PASSWORD"))
    .addOption(fromEnv("--token <jwt>", "for both, instead of signing in", "SHADOW_TOKEN"))
    .addOption(fromEnv("--old-token <jwt>", "for the old one", "SHADOW_OLD_TOKEN"))
    .addOption(fromEnv("--new-token <jwt>", "for the new one", "SHADOW_NEW_TOKEN"))
    .option("--reads-only", "send nothing that a backend may store (the default)")
    .addOption(
      new Option("--writes", "also create, change and delete: on copies only").default(false).conflicts(
        "readsOnly",
      ),
    )
    .option("--json", "one JSON object instead of the report", false)
    .addHelpText(
      "after",
      "\nExit codes: 0 no difference without a rule, 1 some, 64 wrong usage. See docs/shadow.md.",
    )
    .exitOverride()
    // Colours would ask for variables of the environment that are none of ours.
    .configureOutput({ writeErr: () => {}, getOutHasColors: () => false, getErrHasColors: () => false });
}

async function signIn(side: Side, token: string | undefined, given: Given): Promise<void> {
  await side.requireAnswer();
  if (token !== undefined) side.variables.set("token", token);
  else if (given.email !== undefined && given.password !== undefined) {
    await side.signIn(given.email, given.password);
  } else {
    throw new AppError(
      "usage",
      `signing in at --${side.name}: neither a token nor e-mail and password: wanted ` +
        `SHADOW_EMAIL and SHADOW_PASSWORD, SHADOW_TOKEN, or SHADOW_${side.name.toUpperCase()}_TOKEN`,
    );
  }
}

/** Compares two backends. @returns 1 when a difference has no rule, 130 when interrupted, else 0 @throws AppError usage */
export async function shadow(args: string[], signal?: AbortSignal): Promise<number> {
  const command = createCommand();
  try {
    command.parse(args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    throw new AppError("usage", `${error.message.replace(/^error: /, "reading the options: ")}; see --help`);
  }
  const given = command.opts<Given>();
  using old = new Side("old", given.old);
  using now = new Side("new", given.new);
  const recorded = given.recorded === undefined ? [] : await readRecording(given.recorded);
  await signIn(old, given.oldToken ?? given.token, given);
  await signIn(now, given.newToken ?? given.token, given);
  // Each must take the other's tokens: during a gradual move one browser meets both.
  old.variables.set("other", now.variables.get("token")!);
  now.variables.set("other", old.variables.get("token")!);

  const bar = new progress.SingleBar({
    format: "shadow {bar} {percentage}% | {value}/{total} | {eta_formatted} left",
    hideCursor: true,
    clearOnComplete: true,
  }, progress.Presets.shades_classic);
  const isShown = Deno.stderr.isTerminal() && !given.json;
  if (isShown) bar.start(given.runs + recorded.length, 0);
  const result = await runShadow({
    old,
    new: now,
    seed: given.seed ?? crypto.getRandomValues(new Int32Array(1))[0]!,
    runs: given.runs,
    withWrites: given.writes,
    recorded,
    ...(signal ? { signal } : {}),
    ...(isShown ? { onProgress: (done: number) => bar.update(done) } : {}),
  }).finally(() => bar.stop());
  if (given.json) print(reportToJson(result, now.origin));
  else for (const line of renderReport(result, now.origin)) print(line);
  // Half a run has shown nothing: it does not end like a whole one.
  return unexplained(result).length > 0 ? 1 : result.isWhole ? 0 : 130;
}

if (import.meta.main) await runMain((signal) => shadow(Deno.args, signal));
