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
import type { LoadInput, LoadResult } from "./load.ts";
import { createBody, email, fillRows, largeTasks, openTask, password } from "./rows.ts";

const secret = "a key of the bench that has 32 bytes";

/** A request to measure. */
interface Scenario {
  name: string;
  method: string;
  path: string;
  /** Headers besides Host, Authorization and Origin. */
  headers?: Record<string, string>;
  body?: string;
  /** Number of concurrent connections; the option `--connections` by default. */
  connections?: number;
  /** Maximum number of requests in a round. */
  requestsMax?: number;
  /** Expected status, 200 by default. With 304, the request carries the ETag and only the API is measured. */
  status?: number;
  /** Goal: minimum ratio to the bare handler's rate, or maximum median in milliseconds. */
  goal?: { ratio?: number; p50?: number };
}

const detail = (subtasks: keyof typeof largeTasks) => `/api/v1/tasks/${largeTasks[subtasks]}`;
const create = (name: string, lengths: number[], requestsMax: number, p50?: number): Scenario => ({
  name: `create ${name}`,
  method: "POST",
  path: "/api/v1/tasks",
  headers: { "content-type": "application/json" },
  body: createBody(lengths),
  connections: 1,
  requestsMax,
  ...(p50 === undefined ? {} : { goal: { p50 } }),
});

const scenarios: Scenario[] = [
  { name: "users/me", method: "GET", path: "/api/v1/users/me", goal: { ratio: 0.9 } },
  { name: "list", method: "GET", path: "/api/v1/tasks", goal: { ratio: 0.9 } },
  { name: "list, name 夕阳", method: "GET", path: `/api/v1/tasks?task_name=${encodeURIComponent("夕阳")}` },
  { name: "detail 3,024", method: "GET", path: detail(3024), connections: 1, goal: { p50: 30 } },
  { name: "detail 3,024, 4 at once", method: "GET", path: detail(3024) },
  { name: "detail 50,000", method: "GET", path: detail(50000), connections: 1, requestsMax: 5 },
  {
    name: "detail, not modified",
    method: "GET",
    path: detail(3024),
    connections: 1,
    status: 304,
    goal: { p50: 3 },
  },
  {
    name: "detail, not modified, open task",
    method: "GET",
    path: `/api/v1/tasks/${openTask}`,
    connections: 1,
    status: 304,
    goal: { p50: 3 },
  },
  { name: "matrix 3,024", method: "GET", path: `${detail(3024)}/matrix`, connections: 1 },
  { name: "matrix 3,024, 4 at once", method: "GET", path: `${detail(3024)}/matrix` },
  create("12", [3, 4], 200),
  create("3,024", [42, 24, 3], 10, 250),
  create("50,000", [100, 100, 5], 3, 1500),
  {
    name: "login",
    method: "POST",
    path: "/api/v1/auth/login",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: `username=${encodeURIComponent(email)}&password=${encodeURIComponent(password)}`,
    connections: 2,
    requestsMax: 10,
  },
];

interface Options {
  seconds: number;
  rounds: number;
  tasks: number;
  connections: number;
  only: string;
}

const command = new Command("deno task bench http")
  .description("Compares the v1 API with a minimal handler that runs the same statements.")
  .option("--seconds <n>", "maximum duration of a measurement", parsePositive, 3)
  .option("--rounds <n>", "rounds per request; the best one is reported", parsePositive, 3)
  .option("--tasks <n>", "number of tasks in the database", parsePositive, 1000)
  .option("--connections <n>", "concurrent connections", parsePositive, 4)
  .option("--only <text>", "measure only requests whose name contains this text", "");

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

async function runLoad(input: LoadInput): Promise<LoadResult> {
  const args = ["run", "-A", new URL("./load.ts", import.meta.url).pathname, JSON.stringify(input)];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (code !== 0) throw new Error(`the load generator ended with ${code}`);
  return JSON.parse(new TextDecoder().decode(stdout));
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
    memory() {
      try {
        const status = Deno.readTextFileSync(`/proc/${child.pid}/status`);
        const mib = (key: string) => Number(new RegExp(`${key}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) / 1024;
        return [mib("VmRSS"), mib("VmHWM")];
      } catch {
        return [0, 0];
      }
    },
    cpuMs() {
      try {
        const [, rest = ""] = Deno.readTextFileSync(`/proc/${child.pid}/stat`).split(") ");
        const fields = rest.split(" ");
        return (Number(fields[11]) + Number(fields[12])) * 10;
      } catch {
        return 0;
      }
    },
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

function judge({ goal }: Scenario, ours: LoadResult, ratio: number | undefined): string {
  if (goal?.ratio !== undefined && ratio !== undefined) {
    return `${ratio >= goal.ratio ? "met" : "missed"}: ≥ ${goal.ratio} of bare`;
  }
  return goal?.p50 === undefined ? "" : `${ours.p50 <= goal.p50 ? "met" : "missed"}: p50 ≤ ${goal.p50} ms`;
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
): Promise<string[]> {
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
  const ratio = bare && rate(ours) / rate(bare);
  const cpu = measuredServers.map(({ kind }) => ms(cpuMsBy[kind] / sumOf(results.get(kind)!)));
  const mib = servers[0]!.memory().map((value) => Math.round(value));
  return [
    scenario.name,
    rate(ours) < 100 ? rate(ours).toFixed(1) : String(Math.round(rate(ours))),
    bare ? (rate(bare) < 100 ? rate(bare).toFixed(1) : String(Math.round(rate(bare)))) : "",
    ratio?.toFixed(2) ?? "",
    ...[ms(ours.p50), ms(ours.p95), ms(ours.p99), bare ? ms(bare.p50) : ""],
    cpu.join(" / "),
    `${mib[0]} / ${mib[1]}`,
    judge(scenario, ours, ratio),
  ];
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
  const rows: string[][] = [];
  for (const scenario of scenarios.filter(({ name }) => name.includes(options.only))) {
    printError(scenario.name);
    rows.push(await measure([ours, bare], scenario, token, options));
  }
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
  print(formatTable(head, rows));
  print(`load of the machine ${Deno.loadavg().map((load) => load.toFixed(1)).join(", ")}`);
  return rows.some((row) => row.at(-1)!.startsWith("missed")) ? 1 : 0;
}

if (import.meta.main) await runMain(main);
