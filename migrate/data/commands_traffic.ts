/** `deno task migrate traffic`: shows which system answers v1, and changes it in the safe order. */
import { Command } from "commander";
import type { Pool } from "../../db/pg/connect.ts";
import { listFrontProcesses } from "../../db/traffic/processes.ts";
import {
  listTrafficChanges,
  type Phase,
  phases,
  readTraffic,
  type Traffic,
  type TrafficChangeRow,
} from "../../db/traffic/traffic.ts";
import { AppError } from "../../errors.ts";
import { counted, quoted } from "../../phrases.ts";
import { requireSchema } from "../schema/runner.ts";
import { type Context, options, printResult, withPool } from "./context.ts";
import { changePhase } from "./cutover/change_phase.ts";
import { formatTable } from "./tools/format.ts";

interface TrafficFlags {
  share?: number;
  reason?: string;
  force?: true;
  by?: string;
  json?: true;
}

const shownChanges = 10;

/** What the command shows. */
interface TrafficReport {
  traffic: Traffic;
  processes: (Awaited<ReturnType<typeof listFrontProcesses>>[number] & { is_acknowledged: boolean })[];
  changes: TrafficChangeRow[];
  /** What a forced change may lose. */
  may_lose: string | null;
}

function parsePhase(text: string): Phase {
  const phase = phases.find((known) => known === text);
  if (phase) return phase;
  throw new AppError("usage", `traffic ${quoted(text)}: wanted one of ${phases.join(", ")}`);
}

function parseShare(text: string): number {
  if (/^\d{1,3}$/.test(text) && Number(text) <= 100) return Number(text);
  throw new AppError("usage", `--share ${quoted(text)}: wanted a whole number from 0 to 100`);
}

async function readReport(pool: Pool, mayLose: string | null): Promise<TrafficReport> {
  const traffic = await readTraffic(pool);
  const processes = await listFrontProcesses(pool);
  return {
    traffic,
    processes: processes.map((process) =>
      Object.assign({}, process, { is_acknowledged: process.acknowledged >= traffic.version })
    ),
    changes: await listTrafficChanges(pool, shownChanges),
    may_lose: mayLose,
  };
}

const phaseTexts: Record<Phase, string> = {
  old: "the old backend answers everything",
  shadow: "the old backend answers; a sample is compared",
  canary: "a share of the users reads here; the old backend answers writes",
  holding: "writes wait for the end of a switch",
  new: "this system answers everything",
};

const phaseText = (phase: Phase, share: number): string => phase === "canary" ? `${phase} ${share} %` : phase;

function formatReport({ traffic, processes, changes, may_lose }: TrafficReport): string {
  const { phase, share, changed_at, changed_by, reason } = traffic;
  const lines = [
    ...(may_lose === null ? [] : [`forced: ${may_lose}`]),
    `phase ${phaseText(phase, share)}: ${phaseTexts[phase]}`,
    `since ${changed_at}, by ${changed_by}${reason === "" ? "" : `: ${reason}`}`,
    "",
    counted(processes.length, "API process", "API processes"),
  ];
  if (processes.length > 0) {
    lines.push(formatTable(
      ["process", "acknowledged", "in flight", "held", "seen ms ago"],
      processes.map(({ host, pid, is_acknowledged, writes_in_flight, writes_held, seen_ms }) => [
        `${host}:${pid}`,
        is_acknowledged ? "yes" : "NOT YET",
        writes_in_flight,
        writes_held,
        Math.round(seen_ms),
      ]),
    ));
  }
  if (changes.length > 0) {
    lines.push(
      "",
      formatTable(
        ["at", "by", "change", "reason"],
        changes.map((row) => [
          row.at,
          row.changed_by,
          `${phaseText(row.phase_before, row.share_before)} → ${phaseText(row.phase_after, row.share_after)}${
            row.forced ? " (forced)" : ""
          }`,
          row.reason,
        ]),
      ),
    );
  }
  return lines.join("\n");
}

async function runTraffic(context: Context, phase: string | undefined, flags: TrafficFlags): Promise<void> {
  const wanted = phase === undefined ? undefined : parsePhase(phase);
  const isChange = wanted !== undefined || flags.share !== undefined;
  const report = await withPool(context, async (pool) => {
    await requireSchema(pool);
    return await readReport(pool, isChange ? await changePhase(pool, wanted, flags) : null);
  });
  printResult(context, flags, report, () => formatReport(report));
}

/** Returns the command `traffic`. */
export function trafficCommand(context: Context): Command {
  return new Command("traffic")
    .description("show which system answers v1, or change it: old, shadow, canary")
    .argument("[phase]", "old, shadow or canary; new only by 'data cutover', away from it by 'data rollback'")
    .option("--share <n>", "percentage of the users that canary serves here", parseShare)
    .option("--reason <text>", "why, for the journal")
    .option("--force", "change out of order; tells what may be lost")
    .option("--by <name>", "who decides, for the journal (default: USER@HOST)")
    .option(...options.json)
    .action((phase: string | undefined, flags: TrafficFlags) => runTraffic(context, phase, flags));
}
