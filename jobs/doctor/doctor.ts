/** Looks whether everything holds that must, in PostgreSQL and Redis; says what does not, and puts right what is safe. */
import type { Check, DoctorDeps, Finding } from "./check.ts";
import { fleetChecks } from "./fleet.ts";
import { redisChecks } from "./redis.ts";
import { rowChecks } from "./rows.ts";

/** A finding as it is told. */
export interface Told extends Omit<Finding, "fix"> {
  check: string;
  /** Whether `--repair` would put it right. */
  repairable: boolean;
  repaired: boolean;
}

export interface Report {
  /** No fault, or none that is left. */
  healthy: boolean;
  checks: number;
  findings: Told[];
}

const settleMs = 2_500;
const checks: Check[] = [...fleetChecks, ...rowChecks, ...redisChecks];

async function look(deps: DoctorDeps, chosen: Check[]): Promise<Map<Check, Finding[]>> {
  const found = new Map<Check, Finding[]>();
  for (const check of chosen) found.set(check, await check.examine(deps));
  return found;
}

const faultsOf = (findings: Finding[] = []) => findings.filter(({ fault }) => fault);

/** Looks twice at what is a fault: only what both looks found is told. */
async function examine(deps: DoctorDeps): Promise<Map<Check, Finding[]>> {
  const found = await look(deps, checks);
  const doubtful = checks.filter((check) => faultsOf(found.get(check)).length > 0);
  if (doubtful.length === 0) return found;
  await new Promise((resolve) => setTimeout(resolve, deps.settleMs ?? settleMs));
  const again = await look(deps, doubtful);
  for (const check of doubtful) {
    const before = new Set(faultsOf(found.get(check)).map(({ about }) => about));
    found.set(check, again.get(check)!.filter(({ fault, about }) => !fault || before.has(about)));
  }
  return found;
}

/** @returns what is in order now, by check and `about` */
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
        deps.log.error("doctor could not repair", { check: check.name, about }, error);
      }
    }
  }
  const left = await look(deps, [...new Set(tried.map(([check]) => check))]);
  const stays = ([check, about]: [Check, string]) =>
    left.get(check)!.some((finding) => finding.about === about);
  return new Set(tried.filter((one) => !stays(one)).map(([check, about]) => `${check.name} ${about}`));
}

/**
 * Examines the queue. Reads only, unless `repair` is set; then what can be put right without a person's judgement is,
 * and looked at once more.
 */
export async function runDoctor(deps: DoctorDeps, { repair = false } = {}): Promise<Report> {
  const found = await examine(deps);
  const mended = repair ? await repairAll(deps, found) : new Set<string>();
  const findings = [...found].flatMap(([{ name }, list]) =>
    list.map(({ fix, ...finding }): Told => ({
      check: name,
      ...finding,
      repairable: fix !== undefined,
      repaired: mended.has(`${name} ${finding.about}`),
    }))
  );
  const healthy = findings.every(({ fault, repaired }) => !fault || repaired);
  return { healthy, checks: checks.length, findings };
}

const markOf = ({ fault, repaired }: Told): string => repaired ? "repaired" : fault ? "FAULT" : "note";

/** A report for people, one finding in two lines. */
export function describeReport({ healthy, checks, findings }: Report): string {
  const lines = findings.flatMap((told) => [
    `${markOf(told)}: ${told.text}`,
    `    ${told.advice}${told.repairable && told.fault && !told.repaired ? " [--repair does it]" : ""}`,
  ]);
  const faults = findings.filter(({ fault, repaired }) => fault && !repaired).length;
  const end = healthy ? "everything holds that must" : `${faults} ${faults === 1 ? "fault" : "faults"} left`;
  return [...lines, `${checks} checks: ${end}`].join("\n");
}
