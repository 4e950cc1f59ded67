/** Measures a request at both servers in turns, and forms its figures. */
import { atLeast, atMost, type Figure, median, rangeOf } from "../report.ts";
import { type LoadInput, type LoadResult, runLoad } from "./load.ts";
import type { Scenario } from "./scenarios.ts";

/** How long and how often each request is measured. */
export interface Extent {
  seconds: number;
  rounds: number;
  connections: number;
}

/** A running server. */
export interface Server extends AsyncDisposable {
  kind: "ours" | "bare";
  port: number;
  /** Returns the present and the highest resident memory in MiB; zeros if the system does not report them. */
  memory(): [now: number, peak: number];
  /** Returns the CPU time so far in milliseconds; 0 if the system does not report it. */
  cpuMs(): number;
}

function toRequest(scenario: Scenario, token: string, etag: string): string {
  const { email, method, path, headers = {}, body = "", status } = scenario;
  const lines = Object.entries({
    Host: "127.0.0.1",
    Authorization: `Bearer ${token}`,
    Origin: "https://app.example.com",
    // The minimal handler knows no tokens.
    ...(email === undefined ? {} : { "X-Email": email }),
    ...headers,
    ...(status === 304 ? { "If-None-Match": etag } : {}),
    ...(body === "" ? {} : { "Content-Length": String(new TextEncoder().encode(body).length) }),
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}

const rateOf = ({ requests, seconds }: LoadResult) => requests / seconds;
const sumOf = (results: LoadResult[]) => results.reduce((sum, { requests }) => sum + requests, 0);
const medianOf = (results: LoadResult[], read: (result: LoadResult) => number) => median(results.map(read));
const ms = (value: number) => value < 10 ? value.toFixed(2) : value.toFixed(0);

/** The results of a request. */
export interface Measured {
  scenario: Scenario;
  /** One result of each round. */
  ours: LoadResult[];
  /** The same of the minimal handler; empty where it was not measured. */
  bare: LoadResult[];
  /** CPU milliseconds a request, of ours and of the minimal handler. */
  cpu: number[];
  /** Present and highest memory of ours, in MiB. */
  mib: number[];
}

/** Returns our rate as a multiple of the minimal handler's in the same round, for each round. */
const ratiosOf = ({ ours, bare }: Measured) =>
  bare.map((result, round) => rateOf(ours[round]!) / rateOf(result));

/** Returns the figures of a request. The first two carry its goals. */
export function toFigures(measured: Measured): Figure[] {
  const { scenario: { name, goal }, ours, mib } = measured;
  const ratios = ratiosOf(measured);
  const p50s = ours.map(({ p50 }) => p50);
  const p50: Figure = { what: `${name}, p50`, value: median(p50s), unit: "ms", spread: rangeOf(p50s) };
  if (goal?.p50 !== undefined) p50.goal = atMost(p50.value, goal.p50, "ms");
  const figures = [p50];
  if (ratios.length > 0) {
    const value = median(ratios);
    const what = `${name}, compared with the minimal handler`;
    const ratio: Figure = { what, value, unit: "×", spread: rangeOf(ratios) };
    if (goal?.ratio !== undefined) ratio.goal = atLeast(value, goal.ratio, "×");
    figures.push(ratio);
  }
  const rates = ours.map(rateOf);
  return [
    ...figures,
    { what: `${name}, p95`, value: medianOf(ours, ({ p95 }) => p95), unit: "ms", minor: true },
    { what: `${name}, p99`, value: medianOf(ours, ({ p99 }) => p99), unit: "ms", minor: true },
    { what: `${name}, rate`, value: median(rates), unit: "/s", spread: rangeOf(rates) },
    { what: `${name}, highest memory so far`, value: mib[1]!, unit: "MiB", minor: true },
  ];
}

const judge = (measured: Measured): string => {
  const goals = toFigures(measured).flatMap(({ goal }) => goal ?? []);
  return goals.map(({ met, text }) => `${met ? "met" : "missed"}: ${text}`).join(", ");
};

/** Returns a row of the table for people. */
export function toRow(measured: Measured): string[] {
  const { scenario: { name }, ours, bare, cpu, mib } = measured;
  const showRate = (results: LoadResult[]) => {
    if (results.length === 0) return "";
    const rate = medianOf(results, rateOf);
    return rate < 100 ? rate.toFixed(1) : String(Math.round(rate));
  };
  return [
    name,
    showRate(ours),
    showRate(bare),
    bare.length > 0 ? median(ratiosOf(measured)).toFixed(2) : "",
    ms(medianOf(ours, ({ p50 }) => p50)),
    ms(medianOf(ours, ({ p95 }) => p95)),
    ms(medianOf(ours, ({ p99 }) => p99)),
    bare.length > 0 ? ms(medianOf(bare, ({ p50 }) => p50)) : "",
    cpu.map(ms).join(" / "),
    mib.map((value) => Math.round(value)).join(" / "),
    judge(measured),
  ];
}

/** Reads the ETag of the resource if the scenario expects 304. */
async function readEtag({ port }: Server, { path, status }: Scenario, token: string): Promise<string> {
  if (status !== 304) return "";
  const headers = { authorization: `Bearer ${token}` };
  const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers });
  await response.body?.cancel();
  return response.headers.get("etag") ?? "";
}

/** Measures a request at each server in turns. A request that expects 304 is measured at the first server only. */
export async function measure(
  servers: Server[],
  scenario: Scenario,
  token: string,
  extent: Extent,
): Promise<Measured> {
  const etag = await readEtag(servers[0]!, scenario, token);
  const results: Record<Server["kind"], LoadResult[]> = { ours: [], bare: [] };
  const cpuMsBy = { ours: 0, bare: 0 };
  const measuredServers = scenario.status === 304 ? servers.slice(0, 1) : servers;
  const input = (port: number, seconds: number): LoadInput => ({
    port,
    request: toRequest(scenario, token, etag),
    connections: scenario.connections ?? extent.connections,
    seconds,
    requestsMax: scenario.requestsMax ?? 1e9,
    status: scenario.status ?? 200,
  });
  for (const { port } of measuredServers) {
    await runLoad({ ...input(port, 1), requestsMax: scenario.requestsMax ? 1 : 1e9 });
  }
  for (let round = 0; round < extent.rounds; round++) {
    // Each goes first in half of the rounds.
    const order = round % 2 === 0 ? measuredServers : measuredServers.toReversed();
    for (const { kind, port, cpuMs } of order) {
      const before = cpuMs();
      results[kind].push(await runLoad(input(port, extent.seconds)));
      cpuMsBy[kind] += cpuMs() - before;
    }
  }
  const cpu = measuredServers.map(({ kind }) => cpuMsBy[kind] / sumOf(results[kind]));
  return { scenario, ...results, cpu, mib: servers[0]!.memory() };
}
