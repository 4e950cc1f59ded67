/**
 * `deno task bench http`: compares the API with a minimal handler that runs the same statements. Both are measured in
 * turns: requests per second, latencies, CPU time, and the API's memory.
 * `--help` lists the options.
 */
import { Command } from "commander";
import { connect } from "../../db/pg/connect.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { parseOptions } from "../../dev/command_line.ts";
import { migrateUp } from "../../migrate/schema/runner.ts";
import { formatTable } from "../../migrate/data/tools/format.ts";
import { print, printError, runMain } from "../../process.ts";
import { createTokens } from "../../routes/common/tokens.ts";
import { parsePositive } from "../options.ts";
import { readCpuMs, readMemory } from "../process.ts";
import { atLeast, atMost, type Figure, openReport } from "../report.ts";
import { type LoadInput, type LoadResult, runLoad } from "./load.ts";
import { email, fillRows } from "./rows.ts";
import { type Scenario, scenarios } from "./scenarios.ts";

const secret = "a key of the bench that has 32 bytes";

interface Options {
  seconds: number;
  rounds: number;
  tasks: number;
  connections: number;
  only: string;
  json?: true;
}

const command = new Command("deno task bench http")
  .description("Compares the v1 API with a minimal handler that runs the same statements.")
  .option("--seconds <n>", "maximum duration of a measurement", parsePositive, 3)
  .option("--rounds <n>", "rounds per request; the best one is reported", parsePositive, 3)
  .option("--tasks <n>", "number of tasks in the database", parsePositive, 1000)
  .option("--connections <n>", "concurrent connections", parsePositive, 4)
  .option("--only <text>", "measure only requests whose name contains this text", "")
  .option("--json", "print one line of JSON");

function toRequest(scenario: Scenario, token: string, etag: string): string {
  const { method, path, headers = {}, body = "", status } = scenario;
  const lines = Object.entries({
    Host: "127.0.0.1",
    Authorization: `Bearer ${token}`,
    Origin: "https://app.example.com",
    ...headers,
    ...(status === 304 ? { "If-None-Match": etag } : {}),
    ...(body === "" ? {} : { "Content-Length": String(new TextEncoder().encode(body).length) }),
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  return `${method} ${path} HTTP/1.1\r\n${lines.join("")}\r\n${body}`;
}

/** A running server. */
interface Server extends AsyncDisposable {
  kind: "ours" | "bare";
  port: number;
  /** Returns the present and the highest resident memory in MiB; zeros if the system does not report them. */
  memory(): [now: number, peak: number];
  /** Returns the CPU time so far in milliseconds; 0 if the system does not report it. */
  cpuMs(): number;
}

async function startServer(kind: Server["kind"], url: string): Promise<Server> {
  const port = findFreePort();
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", new URL("./server.ts", import.meta.url).pathname, kind, String(port)],
    env: { DATABASE_URL: url, SECRET_KEY: secret },
    stdout: "null",
    stderr: "null",
  }).spawn();
  for (let tries = 0;; tries++) {
    try {
      (await Deno.connect({ hostname: "127.0.0.1", port })).close();
      break;
    } catch (error) {
      if (tries > 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return {
    kind,
    port,
    memory: () => readMemory(child.pid),
    cpuMs: () => readCpuMs(child.pid),
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
    },
  };
}

const rate = ({ requests, seconds }: LoadResult) => requests / seconds;
const best = (results: LoadResult[]) => results.toSorted((a, b) => rate(b) - rate(a))[0]!;
const sumOf = (results: LoadResult[]) => results.reduce((sum, { requests }) => sum + requests, 0);
const ms = (value: number) => value < 10 ? value.toFixed(2) : value.toFixed(0);

/** The results of a request. */
interface Measured {
  scenario: Scenario;
  ours: LoadResult;
  /** The minimal handler, where it was measured. */
  bare: LoadResult | undefined;
  /** CPU milliseconds a request, of ours and of the minimal handler. */
  cpu: number[];
  /** Present and highest memory of ours, in MiB. */
  mib: number[];
}

const ratioOf = ({ ours, bare }: Measured) => bare && rate(ours) / rate(bare);

/** Returns the figures of a request. The first two carry its goals. */
function toFigures(measured: Measured): Figure[] {
  const { scenario: { name, goal }, ours, mib } = measured;
  const ratio = ratioOf(measured);
  const p50Goal = goal?.p50 === undefined ? {} : { goal: atMost(ours.p50, goal.p50, "ms") };
  const ratioGoal = goal?.ratio === undefined || ratio === undefined
    ? {}
    : { goal: atLeast(ratio, goal.ratio, "×") };
  return [
    { what: `${name}, p50`, value: ours.p50, unit: "ms", ...p50Goal },
    ...(ratio === undefined
      ? []
      : [{ what: `${name}, compared with the minimal handler`, value: ratio, unit: "×", ...ratioGoal }]),
    { what: `${name}, p95`, value: ours.p95, unit: "ms" },
    { what: `${name}, p99`, value: ours.p99, unit: "ms" },
    { what: `${name}, rate`, value: rate(ours), unit: "/s" },
    { what: `${name}, highest memory so far`, value: mib[1]!, unit: "MiB" },
  ];
}

const judge = (measured: Measured): string => {
  const goals = toFigures(measured).flatMap(({ goal }) => goal ?? []);
  return goals.map(({ met, text }) => `${met ? "met" : "missed"}: ${text}`).join(", ");
};

function toRow(measured: Measured): string[] {
  const { scenario: { name }, ours, bare, cpu, mib } = measured;
  const shownRate = (result: LoadResult) =>
    rate(result) < 100 ? rate(result).toFixed(1) : String(Math.round(rate(result)));
  return [
    name,
    shownRate(ours),
    bare ? shownRate(bare) : "",
    ratioOf(measured)?.toFixed(2) ?? "",
    ...[ms(ours.p50), ms(ours.p95), ms(ours.p99), bare ? ms(bare.p50) : ""],
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

async function measure(
  servers: Server[],
  scenario: Scenario,
  token: string,
  options: Options,
): Promise<Measured> {
  const etag = await readEtag(servers[0]!, scenario, token);
  const results = new Map<Server["kind"], LoadResult[]>(servers.map(({ kind }) => [kind, []]));
  const cpuMsBy = { ours: 0, bare: 0 };
  const measuredServers = scenario.status === 304 ? servers.slice(0, 1) : servers;
  const input = (port: number, seconds: number): LoadInput => ({
    port,
    request: toRequest(scenario, token, etag),
    connections: scenario.connections ?? options.connections,
    seconds,
    requestsMax: scenario.requestsMax ?? 1e9,
    status: scenario.status ?? 200,
  });
  for (const { port } of measuredServers) {
    await runLoad({ ...input(port, 1), requestsMax: scenario.requestsMax ? 1 : 1e9 });
  }
  for (let round = 0; round < options.rounds; round++) {
    for (const { kind, port, cpuMs } of measuredServers) {
      const before = cpuMs();
      results.get(kind)!.push(await runLoad(input(port, options.seconds)));
      cpuMsBy[kind] += cpuMs() - before;
    }
  }
  const ours = best(results.get("ours")!);
  const bareLoads = results.get("bare")!;
  const bare = bareLoads.length > 0 ? best(bareLoads) : undefined;
  const cpu = measuredServers.map(({ kind }) => cpuMsBy[kind] / sumOf(results.get(kind)!));
  return { scenario, ours, bare, cpu, mib: servers[0]!.memory() };
}

async function main(): Promise<number> {
  const options = parseOptions<Options>(command, Deno.args);
  if (!options) return 0;
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-bench-" });
  await using server = await startPostgres({ folder, keep: false });
  const admin = connect(server.url("postgres"), { max: 1 });
  await admin`create database bench`;
  await admin.end();
  const url = server.url("bench");
  const sql = connect(url, { max: 1 });
  await migrateUp(sql);
  printError(`inserting ${options.tasks} tasks, and tasks of 3,024 and 50,000 subtasks`);
  await fillRows(sql, options.tasks);
  await sql.end();

  const token = await createTokens(secret, 60).sign({ sub: "bench", email });
  await using ours = await startServer("ours", url);
  await using bare = await startServer("bare", url);
  const all: Measured[] = [];
  const started = performance.now();
  for (const scenario of scenarios.filter(({ name }) => name.includes(options.only))) {
    printError(scenario.name);
    all.push(await measure([ours, bare], scenario, token, options));
  }
  const figures = all.flatMap(toFigures);
  if (options.json) {
    const report = openReport(true);
    figures.forEach(report.add);
    report.end((performance.now() - started) / 1000);
  } else {
    const head = [
      "request",
      "ours /s",
      "bare /s",
      "ratio",
      "p50 ms",
      "p95",
      "p99",
      "bare p50",
      "CPU ms, ours / bare",
      "MiB now / peak",
      "goal",
    ];
    print(formatTable(head, all.map(toRow)));
    print(`load of the machine ${Deno.loadavg().map((load) => load.toFixed(1)).join(", ")}`);
  }
  return figures.some(({ goal }) => goal && !goal.met) ? 1 : 0;
}

if (import.meta.main) await runMain(main);
