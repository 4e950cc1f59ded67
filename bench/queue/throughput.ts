/** Ours and the peers in turns: each a process of its own, given the same cells, timed from its first result on. */
import { atLeast, median, type Report, spreadOf } from "./report.ts";
import { axesOf, type Base, readProgress, sleep, type Stand, submit } from "./stand.ts";
import type { PeerOrder, PeerWrites } from "../peers/peer.ts";

interface Runner {
  name: string;
  file: string;
  writes: PeerWrites;
  /** What ours is to be, as a multiple. */
  goal?: number;
}

const ours: Runner = { name: "contactsheet", file: "contactsheet", writes: "all" };
const peers: Runner[] = [
  { name: "BullMQ", file: "bullmq", writes: "result", goal: 3 },
  { name: "pg-boss", file: "pg_boss", writes: "result", goal: 1.5 },
  { name: "graphile-worker", file: "graphile_worker", writes: "result" },
  { name: "BullMQ, gathered", file: "bullmq", writes: "gathered" },
  { name: "pg-boss, gathered", file: "pg_boss", writes: "gathered" },
  { name: "graphile-worker, gathered", file: "graphile_worker", writes: "gathered" },
  { name: "BullMQ, all our writes, gathered", file: "bullmq", writes: "all" },
];

const legend =
  "peers write the result row and the counter, a statement a job; gathered: by our batcher, many a statement; " +
  "all our writes: the intent before the call and the job's id after it too; goals are held against the first";

export interface ThroughputWish {
  cells: number;
  slots: number;
  rounds: number;
  /** No round is begun after this; the first is always run. */
  secondsInAll: number;
  /** A run is cut off after this: what it finished by then counts. */
  secondsMax: number;
}

/** A peer that has its jobs and waits to be let go; killed when it is left. */
export interface PeerProcess extends AsyncDisposable {
  go(): Promise<void>;
}

/** Starts a program of `peers/` for one task. @throws Error naming it when it ends before it is ready */
export async function peerProcess(
  stand: Stand,
  base: Base,
  taskId: string,
  file: string,
  { slots, writes }: { slots: number; writes: PeerWrites },
): Promise<PeerProcess> {
  const order: PeerOrder = { url: base.url, redisUrl: stand.redis.url, taskId, slots, writes };
  const path = new URL(`../peers/${file}.ts`, import.meta.url).pathname;
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", path, JSON.stringify(order)],
    stdin: "piped",
    stdout: "piped",
    stderr: "inherit",
  }).spawn();
  const reader = child.stdout.getReader();
  const writer = child.stdin.getWriter();
  const { value, done } = await reader.read();
  if (done || !new TextDecoder().decode(value).startsWith("ready")) throw new Error(`${file} did not start`);
  return {
    go: () => writer.write(new TextEncoder().encode("go\n")),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await Promise.allSettled([child.status, writer.close(), reader.cancel()]);
    },
  };
}

/** Runs one once. @returns cells a second */
async function runOnce(stand: Stand, runner: Runner, wish: ThroughputWish): Promise<number> {
  await stand.flushRedis();
  await using base = await stand.openBase();
  const taskId = await submit(base, axesOf(wish.cells));
  const { slots } = wish;
  await using peer = await peerProcess(stand, base, taskId, runner.file, {
    slots,
    writes: runner.writes,
  });
  await base.sql`checkpoint`;
  await peer.go();
  return await timeRun(base.sql, taskId, runner.name, wish.secondsMax);
}

async function timeRun(
  sql: Parameters<typeof readProgress>[0],
  task: string,
  name: string,
  secondsMax: number,
): Promise<number> {
  let first: { at: number; done: number } | undefined;
  const begun = performance.now();
  for (;;) {
    const { done, ended } = await readProgress(sql, task);
    const at = performance.now();
    if (!first && done > 0) first = { at, done };
    if (!first && at - begun > 20_000) throw new Error(`${name} finished nothing within 20 s`);
    if (first && (ended || at - first.at > secondsMax * 1000)) {
      return (done - first.done) / ((at - first.at) / 1000);
    }
    await sleep(10);
  }
}

/** Runs all in turns and reports each, and ours as a multiple of each peer. */
export async function measureThroughput(stand: Stand, report: Report, wish: ThroughputWish): Promise<void> {
  const runners = [ours, ...peers];
  const rates = new Map<Runner, number[]>(runners.map((runner) => [runner, []]));
  const begun = performance.now();
  const isLate = () => performance.now() - begun > wish.secondsInAll * 1000;
  for (let round = 0; round < wish.rounds && (round === 0 || !isLate()); round++) {
    for (const runner of runners) {
      rates.get(runner)!.push(await runOnce(stand, runner, wish));
    }
  }
  const own = rates.get(ours)!;
  const value = median(own);
  const note = `${own.length} round(s) of each in turns; ${legend}`;
  report({ what: ours.name, value, unit: "cells/s", spread: spreadOf(own), note });
  for (const peer of peers) {
    const theirs = rates.get(peer)!;
    report({ what: peer.name, value: median(theirs), unit: "cells/s", spread: spreadOf(theirs) });
  }
  for (const peer of peers) {
    // Round by round: what else the machine did then hit both.
    const ratios = rates.get(peer)!.map((rate, round) => own[round]! / rate);
    const value = median(ratios);
    report({
      what: `contactsheet ÷ ${peer.name}`,
      value,
      unit: "×",
      spread: spreadOf(ratios),
      ...(peer.goal === undefined ? {} : { goal: atLeast(value, peer.goal, "×") }),
    });
  }
}
