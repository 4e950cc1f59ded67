/** `deno task audit`: compares the locked packages with a list of known faults, without a network. */
import { Command } from "commander";
import { AppError } from "../../errors.ts";
import { callHttp, type Http } from "../../http.ts";
import { counted } from "../../phrases.ts";
import { print, runMain } from "../../process.ts";
import { parseOptions } from "../command_line.ts";
import { type Locked, parseLock } from "./lock.ts";

/** A known fault of a package. */
export interface Advisory {
  id: string;
  package: string;
  severity: string;
  title: string;
  /** Affected versions: alternatives separated by `||`, each a list of comparisons such as `>=7.0.0 <7.2.3`. */
  versions: string;
}

const root = new URL("../../", import.meta.url);
const listUrl = new URL("advisories.json", import.meta.url);

/** Compares two versions by their numbers. A pre-release counts as the version that it precedes. */
function compare(a: string, b: string): number {
  const numbers = (version: string) => version.split("-")[0]!.split(".").map(Number);
  const [left, right] = [numbers(a), numbers(b)];
  for (let index = 0; index < 3; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

const operators: Record<string, (difference: number) => boolean> = {
  "<": (difference) => difference < 0,
  "<=": (difference) => difference <= 0,
  ">": (difference) => difference > 0,
  ">=": (difference) => difference >= 0,
  "=": (difference) => difference === 0,
};

/**
 * Reports whether a version is in a range.
 *
 * @throws AppError invalid_source for a range in another form
 *
 * @example
 * ```ts
 * import { isAffected } from "./audit.ts";
 * const range = "<5.28.5 || >=7.0.0 <7.2.3";
 * if (!isAffected("7.2.2", range) || isAffected("7.2.3", range) || isAffected("6.0.0", range)) throw new Error();
 * ```
 */
export function isAffected(version: string, range: string): boolean {
  return range.split("||").some((alternative) => {
    const comparisons = alternative.trim().replaceAll(/([<>=])\s+/g, "$1").split(/[\s,]+/);
    return comparisons.every((comparison) => {
      if (comparison === "*") return true;
      const match = /^(<=|>=|<|>|=|)v?(\d[\w.+-]*)$/.exec(comparison);
      if (!match) {
        throw new AppError(
          "invalid_source",
          `reading the range '${range}': wanted comparisons such as >=7.0.0 <7.2.3`,
        );
      }
      return operators[match[1] || "="]!(compare(version, match[2]!));
    });
  });
}

/** Returns the locked packages that have a known fault. */
export function findFaults(
  locked: Locked[],
  advisories: Advisory[],
): { locked: Locked; advisory: Advisory }[] {
  return advisories.flatMap((advisory) =>
    locked.filter(({ name, version }) => name === advisory.package && isAffected(version, advisory.versions))
      .map((one) => ({ locked: one, advisory }))
  );
}

/**
 * Asks a registry for the faults of the locked packages.
 *
 * @throws AppError source_missing if it does not answer as npm's registry does
 */
export async function fetchAdvisories(
  registry: string,
  locked: Locked[],
  http: Http = callHttp,
): Promise<Advisory[]> {
  const versions: Record<string, string[]> = {};
  for (const { name, version } of locked) versions[name] = [...new Set([...versions[name] ?? [], version])];
  const url = `${registry.replace(/\/$/, "")}/-/npm/v1/security/advisories/bulk`;
  const result = await http({
    method: "POST",
    url,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(versions),
    timeoutMs: 60_000,
    bodyBytesMax: 32 * 1024 * 1024,
  });
  if (result.kind !== "answer" || result.status !== 200) {
    const reason = result.kind === "answer" ? `status ${result.status}` : result.kind;
    throw new AppError("source_missing", `asking '${url}' for known faults: ${reason}`);
  }
  type Found = { url: string; title: string; severity: string; vulnerable_versions: string };
  const answer = JSON.parse(result.text) as Record<string, Found[]>;
  return Object.entries(answer).flatMap(([name, found]) =>
    found.map((one) => ({
      id: one.url.split("/").at(-1)!,
      package: name,
      severity: one.severity,
      title: one.title,
      versions: one.vulnerable_versions,
    }))
  );
}

/** Adds what is new to a list, sorted by package and id. */
export function mergeAdvisories(known: Advisory[], found: Advisory[]): Advisory[] {
  const byId = new Map([...known, ...found].map((one) => [`${one.package} ${one.id}`, one]));
  return [...byId].toSorted(([a], [b]) => a < b ? -1 : 1).map(([, one]) => one);
}

const command = new Command("deno task audit")
  .description(
    "Compares the packages of deno.lock with the known faults in dev/supply/advisories.json, without a network. Ends " +
      "with 1 if a locked version has one.",
  )
  .option("--update <registry>", "first add the known faults that an npm registry tells, from its URL");

async function main(): Promise<number> {
  const options = parseOptions<{ update?: string }>(command, Deno.args);
  if (!options) return 0;
  const locked = parseLock(await Deno.readTextFile(new URL("deno.lock", root)));
  let advisories: Advisory[] = JSON.parse(await Deno.readTextFile(listUrl));
  if (options.update !== undefined) {
    const found = await fetchAdvisories(options.update, locked);
    const merged = mergeAdvisories(advisories, found);
    await Deno.writeTextFile(listUrl, JSON.stringify(merged, null, 2) + "\n");
    print(
      `${
        counted(merged.length - advisories.length, "new entry", "new entries")
      } in dev/supply/advisories.json`,
    );
    advisories = merged;
  }
  const faults = findFaults(locked, advisories);
  for (const { locked: { name, version }, advisory } of faults) {
    print(
      `${name} ${version}: ${advisory.severity}: ${advisory.title} (${advisory.id}; affected: ${advisory.versions})`,
    );
  }
  print(`${counted(locked.length, "package")}, ${counted(faults.length, "known fault")}`);
  return faults.length > 0 ? 1 : 0;
}

if (import.meta.main) await runMain(main);
