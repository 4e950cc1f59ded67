/** `deno task deploy`: what an operator does to the proxy and to the files in deploy/. */
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { describeUsageError, refuseEmptyTexts } from "../../arguments.ts";
import { AppError } from "../../errors.ts";
import { print, runMain } from "../../process.ts";
import { checkFiles } from "./check.ts";
import { openHaproxy } from "./haproxy.ts";
import { openNginx } from "./nginx.ts";
import { type Colour, colours, type ProxyControl } from "./proxy.ts";
import { raiseShare, steps } from "./split.ts";

interface Target {
  nginx?: string;
  haproxy?: string;
}

function parsePercent(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !(value >= 0 && value <= 100)) {
    throw new InvalidArgumentError("wanted a number of percent from 0 to 100");
  }
  return value;
}

function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(s|m|h)$/.exec(text);
  if (!match) throw new InvalidArgumentError("wanted a time such as 30s, 10m or 2h");
  return Number(match[1]) * { s: 1000, m: 60_000, h: 3_600_000 }[match[2] as "s" | "m" | "h"];
}

async function openProxy({ nginx, haproxy }: Target): Promise<ProxyControl> {
  if ((nginx === undefined) === (haproxy === undefined)) {
    throw new AppError("usage", "reading the options: give either --nginx FOLDER or --haproxy SOCKET");
  }
  return nginx === undefined ? openHaproxy(haproxy!) : await openNginx(nginx.replace(/\/$/, ""));
}

const addTarget = (command: Command): Command =>
  command
    .addOption(new Option("--nginx <folder>", "folder of nginx.conf").conflicts("haproxy"))
    .option("--haproxy <socket>", "administrative socket of HAProxy");

function createSplit(signal: AbortSignal, end: (code: number) => void): Command {
  const options = { to: 100, hold: 600_000, errors: 2 };
  return addTarget(new Command("split"))
    .description(
      `Raises the share of this system over ${
        steps.join(", ")
      } %. Sets it to 0 and ends with 1 when this system ` +
        "answers more errors (5xx) than the old backend.",
    )
    .option(
      "--to <percent>",
      "last share; 0 sends everything to the old backend at once",
      parsePercent,
      options.to,
    )
    .addOption(
      new Option("--hold <time>", "time at each share, such as 30s, 10m or 2h").argParser(parseDuration)
        .default(options.hold, "10m"),
    )
    .option(
      "--errors <percent>",
      "permitted excess of errors over the old backend",
      parsePercent,
      options.errors,
    )
    .action(async ({ to, hold, errors, ...target }: Target & typeof options) => {
      const result = await raiseShare({
        proxy: await openProxy(target),
        to,
        holdMs: hold,
        errorsMax: errors,
        onStep: (percent) => print(`share ${percent} %${percent === to ? "" : `, for ${hold / 1000} s`}`),
        signal,
      });
      if (result.rolledBack !== undefined) print(`share 0 %: rolled back: ${result.rolledBack}`);
      else if (result.share !== to) print(`stopped at a share of ${result.share} %`);
      end(result.rolledBack === undefined ? 0 : 1);
    });
}

function createColour(): Command {
  return addTarget(new Command("colour"))
    .description("Names the colour that answers. Running requests end where they are.")
    .argument("<colour>", colours.join(" or "), (text): Colour => {
      const colour = colours.find((known) => known === text);
      if (colour === undefined) throw new InvalidArgumentError(`wanted ${colours.join(" or ")}`);
      return colour;
    })
    .action(async (colour: Colour, target: Target) => {
      await (await openProxy(target)).setColour(colour);
      print(`${colour} answers`);
    });
}

function createCheck(end: (code: number) => void): Command {
  return new Command("check")
    .description(
      "Checks the files of a folder: settings that do not exist, hosts that no service has, values that were not " +
        "filled in, certificates that have expired. Ends with 1 if something is wrong.",
    )
    .argument("[folder]", "folder with manifests and certificates", "deploy")
    .action(async (folder: string) => {
      const { faults, files } = await checkFiles(folder);
      for (const { path, text } of faults) print(`${path}: ${text}`);
      print(faults.length === 0 ? `${files} files: no fault` : `${files} files, faults: ${faults.length}`);
      end(faults.length === 0 ? 0 : 1);
    });
}

async function main(signal: AbortSignal): Promise<number> {
  let code = 0;
  const end = (exit: number) => code = exit;
  const command = new Command("deno task deploy").description(
    "Operates the proxy, and checks the files in deploy/.",
  );
  for (const one of [createSplit(signal, end), createColour(), createCheck(end)]) command.addCommand(one);
  refuseEmptyTexts(command);
  for (const one of [command, ...command.commands]) {
    one.allowExcessArguments(false).exitOverride().configureOutput({ writeErr: () => {} });
  }
  if (Deno.args.length === 0) {
    command.outputHelp();
    return 0;
  }
  try {
    await command.parseAsync(Deno.args, { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return 0;
    const reason = describeUsageError(error.message);
    throw new AppError("usage", `reading the arguments: ${reason}; see 'deno task deploy --help'`, {
      cause: error,
    });
  }
  return code;
}

if (import.meta.main) await runMain(main);
