/**
 * Checks the queue in PostgreSQL and Redis, reports faults, and repairs those that can be repaired safely.
 */
import type { Check, DoctorDeps, Finding } from "./check.ts";
import { fleetChecks } from "./fleet.ts";
import { redisChecks } from "./redis.ts";
import { rowChecks } from "./rows.ts";
import { doctorSettleMs } from "../../db/queue/times.ts";
import { counted } from "../../phrases.ts";

/** A finding in a report. */
export interface ReportedFinding extends Omit<Finding, "fix"> {
  check: string;
  /** Whether `--repair` can repair it. */
  repairable: boolean;
  repaired: boolean;
}

export interface Report {
  /** Whether no fault is left. */
  healthy: boolean;
  /** Number of checks. */
  checks: number;
  findings: ReportedFinding[];
}

const checks: Check[] = [...fleetChecks, ...rowChecks, ...redisChecks];

async function runChecks(deps: DoctorDeps, chosen: Check[]): Promise<Map<Check, Finding[]>> {
  const found = new Map<Check, Finding[]>();
  for (const check of chosen) found.set(check, await check.examine(deps));
  return found;
}

const faultsOf = (findings: Finding[] = []) => findings.filter(({ fault }) => fault);

/** Runs all checks, then those with faults a second time. Returns only the faults that both found. */
async function examine(deps: DoctorDeps): Promise<Map<Check, Finding[]>> {
  const found = await runChecks(deps, checks);
  const failed = checks.filter((check) => faultsOf(found.get(check)).length > 0);
  if (failed.length === 0) return found;
  await new Promise((resolve) => setTimeout(resolve, deps.settleMs ?? doctorSettleMs));
  const again = await runChecks(deps, failed);
  for (const check of failed) {
    const before = new Set(faultsOf(found.get(check)).map(({ about }) => about));
    found.set(check, again.get(check)!.filter(({ fault, about }) => !fault || before.has(about)));
  }
  return found;
}

/** @returns the check and `about` of each finding that is gone after the repair */
async function repairAll(deps: DoctorDeps, found: Map<Check, Finding[]>): Promise<Set<string>> {
  const tried: [Check, string][] = [];
  for (const [check, findings] of found) {
    for (const { about, fix, text } of findings) {
      if (!fix) continue;
      tried.push([check, about]);
      try {
        await fix();
        deps.log.info("doctor repaired", { check: check.name, about, text });
      } catch (error) {
        deps.log.error("doctor failed to repair", { check: check.name, about }, error);
      }
    }
  }
  const left = await runChecks(deps, [...new Set(tried.map(([check]) => check))]);
  const stays = ([check, about]: [Check, string]) =>
    left.get(check)!.some((finding) => finding.about === about);
  return new Set(tried.filter((one) => !stays(one)).map(([check, about]) => `${check.name} ${about}`));
}

/**
 * Examines the queue. With `repair`, repairs all findings that can be repaired without a person's decision,
 * and checks them once more. Without it, only reads.
 */
export async function runDoctor(deps: DoctorDeps, { repair = false } = {}): Promise<Report> {
  const found = await examine(deps);
  const repaired = repair ? await repairAll(deps, found) : new Set<string>();
  const findings = [...found].flatMap(([{ name }, list]) =>
    list.map(({ fix, ...finding }): ReportedFinding => ({
      check: name,
      ...finding,
      repairable: fix !== undefined,
      repaired: repaired.has(`${name} ${finding.about}`),
    }))
  );
  const healthy = findings.every(({ fault, repaired }) => !fault || repaired);
  return { healthy, checks: checks.length, findings };
}

const labelOf = ({ fault, repaired }: ReportedFinding): string =>
  repaired ? "repaired" : fault ? "FAULT" : "note";

/** Formats a report for people, with two lines for each finding. */
export function describeReport({ healthy, checks, findings }: Report): string {
  const lines = findings.flatMap((finding) => {
    const mayRepair = finding.repairable && finding.fault && !finding.repaired;
    return [
      `${labelOf(finding)}: ${finding.text}`,
      `    ${finding.advice}${mayRepair ? " [--repair does this]" : ""}`,
    ];
  });
  const faults = findings.filter(({ fault, repaired }) => fault && !repaired).length;
  const end = healthy ? "no faults" : `${counted(faults, "fault")} left`;
  return [...lines, `${counted(checks, "check")}: ${end}`].join("\n");
}
