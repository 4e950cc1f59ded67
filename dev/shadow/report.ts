/** What a run found, for a person and for a program. */
import { bodyBytes, type Step, targetOf, toCurl } from "./request.ts";
import type { Finding, Result } from "./run.ts";

/** Findings that no rule explains. */
export const unexplained = ({ findings }: Result): Finding[] =>
  findings.filter(({ rule }) => rule === undefined);

const byRoute = (findings: Finding[]): Map<string, Finding[]> =>
  Map.groupBy(
    findings.toSorted((a, b) => a.route.localeCompare(b.route) || a.path.localeCompare(b.path)),
    ({ route }) => route,
  );

/** `~1` and `~0` stay as they are: the path is a JSON pointer. */
const placeOf = ({ kind, path }: Finding): string => path === "" ? kind : `${kind} at ${path}`;

function explain(finding: Finding, origin: string): string[] {
  const times = finding.count === 1 ? "once" : `${finding.count} times`;
  const name = finding.example.at(-1)?.name;
  return [
    `  ${placeOf(finding)}  (${times}${
      finding.from === "recorded" ? `, recorded${name ? ` '${name}'` : ""}` : ""
    })`,
    `    old  ${finding.old}`,
    `    new  ${finding.new}`,
    ...finding.example.map((step) => `    $ ${toCurl(step, origin)}`),
  ];
}

/** The report as lines; `origin` is the new backend's, to which the examples are addressed. */
export function renderReport(result: Result, origin: string): string[] {
  const open = unexplained(result);
  const ruled = Map.groupBy(result.findings.filter(({ rule }) => rule !== undefined), ({ rule }) => rule!);
  const count = (findings: Finding[]) => findings.reduce((sum, one) => sum + one.count, 0);
  const lines: string[] = [];
  for (const [route, findings] of byRoute(open)) {
    lines.push(route, ...findings.flatMap((finding) => explain(finding, origin)), "");
  }
  if (ruled.size > 0) {
    lines.push("meant to differ:");
    for (const [rule, findings] of ruled) lines.push(`  ${String(count(findings)).padStart(6)}  ${rule}`);
  }
  if (result.masked.size > 0) {
    lines.push("noise of each backend's own:");
    for (const [name, times] of result.masked) lines.push(`  ${String(times).padStart(6)}  ${name}`);
  }
  const skipped = result.skipped > 0
    ? `, ${result.skipped} recorded calls left out (they need --writes or a saved value)`
    : "";
  const stopped = result.isWhole ? "" : " before it was interrupted";
  lines.push(
    `${result.requests} requests to each${stopped}, seed ${result.seed}${skipped}: ` +
      (open.length === 0
        ? "no difference without a rule"
        : `${open.length} differences that no rule explains`),
  );
  return lines;
}

const stepToJson = (step: Step, origin: string) => ({
  ...(step.name ? { name: step.name } : {}),
  method: step.method,
  target: targetOf(step),
  headers: step.headers,
  body: typeof step.body === "string" || step.body === null
    ? step.body
    : { hex: bodyBytes(step.body, new Map())!.toHex() },
  curl: toCurl(step, origin),
});

/** The report as one JSON object. */
export function reportToJson(result: Result, origin: string): string {
  return JSON.stringify({
    seed: result.seed,
    requests: result.requests,
    skipped: result.skipped,
    complete: result.isWhole,
    unexplained: unexplained(result).length,
    masked: Object.fromEntries(result.masked),
    differences: result.findings.map(({ route, kind, path, rule, count, from, old, new: now, example }) => ({
      route,
      kind,
      path,
      rule: rule ?? null,
      count,
      from,
      old,
      new: now,
      example: example.map((step) => stepToJson(step, origin)),
    })),
  });
}
