/**
 * Ratings at a constant rate: 500 ratings a second from many raters on one task. The API and a minimal handler with Hono
 * and porsager are measured in turns, with fsync. Latencies count from the time a rating was due, not from the time it
 * was sent. `deno run -A bench/v2/ratings.ts --rate 500 --raters 24 --cells 3024 --seconds 10 --rounds 2`
 */
import { Hono } from "hono";
import { connect } from "../../db/pg/connect.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { formatTable } from "../../migrate/data/tools/format.ts";
import { print, printError, runMain, whenAborted } from "../../process.ts";
import { addBenchTask, type BenchApi, readCpuMs, readNumber, startBenchApi, waitForPort } from "./api.ts";

/** The load to generate. */
export interface RatingLoad {
  port: number;
  task: string;
  cells: number;
  tokens: string[];
  /** Ratings per second. */
  rate: number;
  seconds: number;
}

/** The results of one server. Latencies are in milliseconds. */
export interface RatingFigures {
  what: string;
  /** Ratings per second that were answered with 200. */
  rate: number;
  failed: number;
  p50: number;
  p95: number;
  p99: number;
  max: number;
  /** CPU time of the server per rating in milliseconds; NaN if the system does not report it. */
  cpu: number;
}

/** Opens a keep-alive connection. @returns a function that sends a request and returns the status of its answer */
async function openConnection(port: number): Promise<(request: string) => Promise<number>> {
  const conn = await Deno.connect({ hostname: "127.0.0.1", port });
  conn.setNoDelay(true);
  const buffer = new Uint8Array(65_536);
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  return async (request) => {
    await conn.write(encoder.encode(request));
    let text = "";
    for (;;) {
      const count = await conn.read(buffer);
      if (count === null) throw new Error("the server closed the connection");
      text += decoder.decode(buffer.subarray(0, count));
      const end = text.indexOf("\r\n\r\n");
      if (end < 0) continue;
      const length = Number(/\r\ncontent-length: *(\d+)/i.exec(text.slice(0, end))?.[1] ?? 0);
      if (text.length >= end + 4 + length) return Number(text.slice(9, 12));
    }
  };
}

function toRequest({ task, cells, tokens }: RatingLoad, i: number): string {
  const cell = Math.floor(Math.random() * cells);
  const body = `{"stars":${1 + Math.floor(Math.random() * 5)},"took_ms":1200}`;
  return `PUT /api/v2/tasks/${task}/cells/${cell}/rating HTTP/1.1\r\nHost: 127.0.0.1\r\n` +
    `Authorization: Bearer ${
      tokens[i % tokens.length]
    }\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
}

/** Sends each rating at its due time over an idle connection or a new one. */
async function generate(load: RatingLoad): Promise<Omit<RatingFigures, "what" | "cpu">> {
  const idle: ((request: string) => Promise<number>)[] = [];
  for (let i = 0; i < load.tokens.length; i++) idle.push(await openConnection(load.port));
  const times: number[] = [];
  let failed = 0;
  const send = async (i: number, due: number) => {
    const sendRequest = idle.pop() ?? await openConnection(load.port);
    const status = await sendRequest(toRequest(load, i));
    times.push(performance.now() - due);
    if (status !== 200) failed++;
    idle.push(sendRequest);
  };
  const total = load.rate * load.seconds;
  const started = performance.now();
  const dueAt = (i: number) => started + i * 1000 / load.rate;
  const all: Promise<void>[] = [];
  while (all.length < total) {
    for (
      let due = dueAt(all.length);
      all.length < total && due <= performance.now();
      due = dueAt(all.length)
    ) {
      all.push(send(all.length, due));
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  await Promise.all(all);
  const seconds = (performance.now() - started) / 1000;
  times.sort((a, b) => a - b);
  const quantile = (share: number) => times[Math.min(times.length - 1, Math.floor(times.length * share))]!;
  return {
    rate: (times.length - failed) / seconds,
    failed,
    p50: quantile(0.5),
    p95: quantile(0.95),
    p99: quantile(0.99),
    max: times.at(-1)!,
  };
}

/** Serves a minimal handler: one statement per rating, without tokens, validation, history, means, revision, log or limits. */
async function serveBare(port: number, url: string, signal: AbortSignal): Promise<void> {
  const sql = connect(url, { max: 4, name: "bench bare" });
  const app = new Hono();
  app.put("/api/v2/tasks/:id/cells/:cell/rating", async (c) => {
    const { stars } = await c.req.json();
    const rater = c.req.header("authorization")!.slice("Bearer ".length);
    const [row] = await sql`
      insert into ratings (task_id, subtask_id, version, rater_id, stars)
      select parent_task_id, id, attempt, ${rater}, ${stars}
      from subtasks
      where parent_task_id = ${c.req.param("id")} and cell = ${c.req.param("cell")}
      on conflict on constraint ratings_pkey do update set stars = excluded.stars, updated_at = now()
      returning version, stars`;
    return c.json(row);
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port, onListen() {} }, app.fetch);
  await whenAborted(signal);
  await server.shutdown();
  await sql.end({ timeout: 1 });
}

const self = new URL(import.meta.url).pathname;

async function runLoad(what: string, pid: number, load: RatingLoad): Promise<RatingFigures> {
  const before = readCpuMs(pid);
  const args = ["run", "-A", "--quiet", self, "--generate", JSON.stringify(load)];
  const { code, stdout } = await new Deno.Command(Deno.execPath(), { args, stderr: "inherit" }).output();
  if (code !== 0) throw new Error(`the load generator ended with ${code}`);
  const figures = JSON.parse(new TextDecoder().decode(stdout));
  return { what, ...figures, cpu: (readCpuMs(pid) - before) / (load.rate * load.seconds) };
}

async function startBare(url: string): Promise<{ port: number; pid: number } & AsyncDisposable> {
  const port = findFreePort();
  const args = ["run", "-A", "--quiet", self, "--bare", String(port)];
  const env = { DATABASE_URL: url };
  const child = new Deno.Command(Deno.execPath(), { args, env, stdout: "null", stderr: "inherit" }).spawn();
  await waitForPort(port);
  return {
    port,
    pid: child.pid,
    async [Symbol.asyncDispose]() {
      child.kill("SIGTERM");
      await child.status;
    },
  };
}

/** Options of the rating bench. */
export interface RatingBench {
  rate?: number;
  raters?: number;
  cells?: number;
  seconds?: number;
  rounds?: number;
}

/** Measures the API and the minimal handler in turns. @returns the round with the lowest p95 of each */
export async function benchRatings(
  api: BenchApi,
  { rate = 500, raters = 24, cells = 3024, seconds = 10, rounds = 2 }: RatingBench = {},
): Promise<{ ours: RatingFigures; bare: RatingFigures }> {
  const users = [];
  for (let i = 0; i < raters; i++) users.push(await api.addUser());
  // Each server gets its own task, since the minimal handler does not update the sums of the cells.
  const task = await addBenchTask(api.sql, users[0]!, cells);
  const other = await addBenchTask(api.sql, users[0]!, cells);
  await using bare = await startBare(api.url);
  const port = Number(new URL(api.origin).port);
  const shared = { cells, rate };
  const ours = { ...shared, task, port, tokens: users.map(({ token }) => token) };
  const minimal = { ...shared, task: other, port: bare.port, tokens: users.map(({ id }) => id) };
  for (const load of [ours, minimal]) await runLoad("warming up", api.pid, { ...load, seconds: 3 });
  const all = { ours: [] as RatingFigures[], bare: [] as RatingFigures[] };
  for (let round = 0; round < rounds; round++) {
    all.ours.push(await runLoad("ours", api.pid, { ...ours, seconds }));
    all.bare.push(await runLoad("bare", bare.pid, { ...minimal, seconds }));
  }
  const best = (figures: RatingFigures[]) => figures.toSorted((a, b) => a.p95 - b.p95)[0]!;
  return { ours: best(all.ours), bare: best(all.bare) };
}

/** Goal for the 95th percentile in milliseconds. */
const p95Goal = 15;

async function main(signal: AbortSignal): Promise<number> {
  const argument = (name: string) => Deno.args[Deno.args.indexOf(name) + 1]!;
  if (Deno.args.includes("--generate")) {
    print(JSON.stringify(await generate(JSON.parse(argument("--generate")))));
    return 0;
  }
  if (Deno.args.includes("--bare")) {
    await serveBare(Number(argument("--bare")), Deno.env.get("DATABASE_URL")!, signal);
    return 0;
  }
  await using api = await startBenchApi();
  const { ours, bare } = await benchRatings(api, {
    rate: readNumber("rate", 500),
    raters: readNumber("raters", 24),
    cells: readNumber("cells", 3024),
    seconds: readNumber("seconds", 10),
    rounds: readNumber("rounds", 2),
  });
  const rows = [ours, bare].map(({ what, rate, failed, ...figures }) => [
    what,
    rate.toFixed(0),
    String(failed),
    ...[figures.p50, figures.p95, figures.p99, figures.max, figures.cpu].map((value) => value.toFixed(2)),
  ]);
  print(formatTable(["what", "/s", "failed", "p50 ms", "p95", "p99", "max", "cpu ms"], rows));
  printError(`load of the machine: ${Deno.loadavg().map((load) => load.toFixed(1)).join(" ")}`);
  return ours.p95 <= p95Goal && ours.failed === 0 ? 0 : 1;
}

if (import.meta.main) await runMain(main);
