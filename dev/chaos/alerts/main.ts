/** `deno task chaos alerts`: a fire drill. It causes faults on real processes and looks whether the alerts notice them. */
import { Command, InvalidArgumentError } from "commander";
import { counted } from "../../../phrases.ts";
import { print, printError } from "../../../process.ts";
import { parseOptions } from "../../command_line.ts";
import { pause } from "../servers.ts";
import { type Condition, conditions } from "./conditions.ts";
import { readAlerts } from "./prometheus.ts";
import { type DrillRig, withRig } from "./rig.ts";

/** Maximum time from the beginning of a condition until its alerts' expressions are true. */
const noticeMsMax = 90_000;

/** What the drill found about one alert. */
export interface Notice {
  condition: string;
  alert: string;
  /** Whether the expression was false before. */
  wasSilent: boolean;
  /** Time until the expression was true; undefined if it never was. */
  afterMs: number | undefined;
}

async function drill(
  rig: DrillRig,
  name: string,
  { alerts, begin, cause, end }: Condition,
  signal: AbortSignal,
): Promise<Notice[]> {
  const expressions = await readAlerts();
  const isTrue = async (alert: string) => await rig.prometheus.count(expressions.get(alert)!) > 0;
  const notices: Notice[] = [];
  for (const alert of alerts) {
    notices.push({ condition: name, alert, wasSilent: !await isTrue(alert), afterMs: undefined });
  }
  const startedAt = performance.now();
  await begin?.(rig);
  while (notices.some(({ afterMs }) => afterMs === undefined) && !signal.aborted) {
    if (performance.now() - startedAt > noticeMsMax) break;
    await cause(rig);
    await pause(500);
    for (const notice of notices) {
      if (notice.afterMs === undefined && await isTrue(notice.alert)) {
        notice.afterMs = Math.round(performance.now() - startedAt);
      }
    }
  }
  await end?.(rig);
  return notices;
}

const isGood = ({ wasSilent, afterMs }: Notice): boolean => wasSilent && afterMs !== undefined;

/** Runs conditions one after another on one rig. */
export async function runDrill(
  names: string[],
  onNotices: (notices: Notice[]) => void,
  signal: AbortSignal,
): Promise<Notice[]> {
  return await withRig(async (rig) => {
    const all: Notice[] = [];
    // Gauges of the queue appear with the leader's first measure.
    while (await rig.prometheus.count("contactsheet_leading == 1") === 0) await pause(200);
    for (const name of names) {
      if (signal.aborted) break;
      const notices = await drill(rig, name, conditions[name]!, signal);
      all.push(...notices);
      onNotices(notices);
    }
    return all;
  });
}

interface Options {
  only?: string[];
  list?: true;
  json?: true;
}

function parseNames(text: string): string[] {
  const names = text.split(",").map((name) => name.trim());
  const unknown = names.find((name) => !Object.hasOwn(conditions, name));
  if (unknown !== undefined) {
    throw new InvalidArgumentError(`'${unknown}' is unknown; --list shows all conditions`);
  }
  return Object.keys(conditions).filter((name) => names.includes(name));
}

const command = new Command("deno task chaos alerts")
  .description(
    "Causes faults on real processes, and looks whether the expressions of the alerts become true in a real " +
      "Prometheus. Exits with 4 if one was true before or never became true. Takes about five minutes.",
  )
  .option("--only <names>", "cause only these conditions, separated by commas", parseNames)
  .option("--list", "list the conditions and their alerts")
  .option("--json", "print one JSON line for each alert");

const describe = ({ condition, alert, wasSilent, afterMs }: Notice): string => {
  const outcome = !wasSilent
    ? "was true before the condition"
    : afterMs === undefined
    ? `did not come within ${noticeMsMax / 1000} s`
    : `after ${(afterMs / 1000).toFixed(1)} s`;
  return `${wasSilent && afterMs !== undefined ? "✓" : "✗"} ${condition}: ${alert} ${outcome}`;
};

/** Runs the command. @returns 4 if an alert did not come */
export async function runAlerts(args: readonly string[], signal: AbortSignal): Promise<number> {
  const options = parseOptions<Options>(command, args);
  if (!options) return 0;
  const names = options.only ?? Object.keys(conditions);
  if (options.list) {
    for (const [name, { about, alerts }] of Object.entries(conditions)) {
      print(`${name.padEnd(14)} ${about} (${alerts.join(", ")})`);
    }
    return 0;
  }
  printError("starting PostgreSQL, Redis, the API, a worker and Prometheus");
  const all = await runDrill(names, (notices) => {
    for (const notice of notices) print(options.json ? JSON.stringify(notice) : describe(notice));
  }, signal);
  const good = all.filter(isGood).length;
  if (!options.json) print(`${counted(good, "alert")} of ${all.length} came`);
  return good < all.length || signal.aborted ? 4 : 0;
}
