/** Throughput of this queue and of its peers. Each runs in its own process on the same cells, in turns. */
import { atLeast, median, rangeOf, type Report } from "../report.ts";
import { axisLengths, type BenchDatabase, type Harness, readProgress, sleep, submit } from "./harness.ts";
import type { Pool } from "../../db/pg/connect.ts";
import type { PeerInput, PeerWrites } from "../peers/peer.ts";

/** A queue under test. */
interface Runner {
  name: string;
  file: string;
  writes: PeerWrites;
  /** Goal for the throughput of this queue as a multiple of the peer's. */
  goal?: number;
}

const ours: Runner = { name: "contactsheet", file: "contactsheet", writes: "all" };
const peers: Runner[] = [
  { name: "BullMQ", file: "bullmq", writes: "result", goal: 3 },
  { name: "pg-boss", file: "pg_boss", writes: "result", goal: 1.5 },
  { name: "graphile-worker", file: "graphile_worker", writes: "result" },
  { name: "BullMQ, batched", file: "bullmq", writes: "batched" },
  { name: "pg-boss, batched", file: "pg_boss", writes: "batched" },
  { name: "graphile-worker, batched", file: "graphile_worker", writes: "batched" },
  { name: "BullMQ, all writes, batched", file: "bullmq", writes: "all", goal: 1.3 },
];

/** Goal of one worker. */
const cellsPerSecondMin = 10_000;

const legend =
  "peers write the result row and the counter in one statement per job; batched: many jobs per statement; " +
  "all writes: also the intent before the call and the job's id after it";

/** Size and limits of the throughput runs. */
export interface ThroughputOptions {
  cells: number;
  slots: number;
  rounds: number;
  /** Time after which no further round starts; the first round always runs. */
  secondsInAll: number;
  /** Maximum duration of a run from its first result. */
  secondsMax: number;
}

/** A queue process that has its jobs and waits for its start signal. Disposal kills it. */
export interface Peer extends AsyncDisposable {
  /** Sends the start signal. */
  start(): Promise<void>;
}

/** Starts a program of `peers/` for one task. @throws Error that names the program if it ends before it is ready */
export async function startPeer(
  harness: Harness,
  database: BenchDatabase,
  taskId: string,
  file: string,
  { slots, writes }: { slots: number; writes: PeerWrites },
): Promise<Peer> {
  const input: PeerInput = { url: database.url, redisUrl: harness.redis.url, taskId, slots, writes };
  const path = new URL(`../peers/${file}.ts`, import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", path, JSON.stringify(input)],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const writer = child.stdin.getWriter();
  const { value, done } = await reader.read();
  if (done || !new TextDecoder().decode(value).startsWith("ready")) throw new Error(`${file} did not start`);
  return {
    start: () => writer.write(new TextEncoder().encode("go\n")),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await Promise.allSettled([child.status, writer.close(), reader.cancel()]);
    },
  };
}

/** Runs this queue once. @param prepare prepares the empty database @returns cells per second */
export const runOurs = (
  harness: Harness,
  options: ThroughputOptions,
  prepare: (sql: Pool) => Promise<void>,
): Promise<number> => runOnce(harness, ours, options, prepare);

/** Runs a queue once. @returns cells per second */
async function runOnce(
  harness: Harness,
  runner: Runner,
  options: ThroughputOptions,
  prepare?: (sql: Pool) => Promise<void>,
): Promise<number> {
  await harness.flushRedis();
  await using database = await harness.createDatabase();
  await prepare?.(database.sql);
  const taskId = await submit(database, axisLengths(options.cells));
  const { slots } = options;
  await using peer = await startPeer(harness, database, taskId, runner.file, {
    slots,
    writes: runner.writes,
  });
  await database.sql`checkpoint`;
  await peer.start();
  return await timeRun(database.sql, taskId, runner.name, options.secondsMax);
}

/** Measures the rate from the first result until the task ends or `secondsMax` have passed. */
async function timeRun(
  sql: Parameters<typeof readProgress>[0],
  task: string,
  name: string,
  secondsMax: number,
): Promise<number> {
  let first: { at: number; done: number } | undefined;
  const startedAt = performance.now();
  for (;;) {
    const { done, ended } = await readProgress(sql, task);
    const at = performance.now();
    if (!first && done > 0) first = { at, done };
    if (!first && at - startedAt > 20_000) throw new Error(`${name} finished nothing within 20 s`);
    if (first && (ended || at - first.at > secondsMax * 1000)) {
      return (done - first.done) / ((at - first.at) / 1000);
    }
    await sleep(10);
  }
}

/** Runs all queues in turns and reports each rate, and this queue's rate as a multiple of each peer's. */
export async function measureThroughput(
  harness: Harness,
  report: Report,
  options: ThroughputOptions,
): Promise<void> {
  const runners = [ours, ...peers];
  const rates = new Map<Runner, number[]>(runners.map((runner) => [runner, []]));
  const startedAt = performance.now();
  const isLate = () => performance.now() - startedAt > options.secondsInAll * 1000;
  for (let round = 0; round < options.rounds && (round === 0 || !isLate()); round++) {
    for (const runner of runners) {
      rates.get(runner)!.push(await runOnce(harness, runner, options));
    }
  }
  const own = rates.get(ours)!;
  const value = median(own);
  const note = `${own.length} round(s) in turns; ${legend}`;
  const goal = atLeast(value, cellsPerSecondMin, "cells/s");
  report({ what: ours.name, value, unit: "cells/s", spread: rangeOf(own), goal, note });
  for (const peer of peers) {
    const theirs = rates.get(peer)!;
    report({ what: peer.name, value: median(theirs), unit: "cells/s", spread: rangeOf(theirs) });
  }
  for (const peer of peers) {
    // Rates of the same round are compared, since both saw a similar load of the machine.
    const ratios = rates.get(peer)!.map((rate, round) => own[round]! / rate);
    const value = median(ratios);
    report({
      what: `contactsheet ÷ ${peer.name}`,
      value,
      unit: "×",
      spread: rangeOf(ratios),
      ...(peer.goal === undefined ? {} : { goal: atLeast(value, peer.goal, "×") }),
    });
  }
}
