/** What Redis costs: commands of an idle worker over REST, commands a cell, memory with a big backlog. */
import { startGateway } from "../../tests/support/upstash_gateway.ts";
import { peerProcess } from "./throughput.ts";
import { atMost, type Report } from "./report.ts";
import { axesOf, playNoOp, readProgress, sleep, type Stand, submit, until, withWorker } from "./stand.ts";
import { startRedis } from "../../dev/servers/redis.ts";

/** Pauses double from 0.1 s up to 90 s: the last that is shorter ends after 102 s. */
const calmMs = 110_000;
/** Two of the longest pauses. */
const countedMs = 180_000;

/** A worker that is left alone; its servers go with it, also when something else fails meanwhile. */
export interface IdleWatch extends AsyncDisposable {
  /** Reports the commands that it sent in a minute of calm, the mean of three. */
  finish(report: Report): Promise<void>;
}

/** Leaves a worker idle over REST beside everything else, on a Redis of its own. */
export function watchIdle(stand: Stand): IdleWatch {
  const left = Promise.withResolvers<void>();
  const counted = (async () => {
    await using base = await stand.openBase();
    await using redis = await startRedis();
    await using gateway = await startGateway(redis.url);
    const place = { restUrl: gateway.url, restToken: gateway.token };
    return await withWorker(base, place, { slots: 50, http: playNoOp() }, async () => {
      await Promise.race([left.promise, sleep(calmMs)]);
      const before = gateway.commands;
      await Promise.race([left.promise, sleep(countedMs)]);
      return (gateway.commands - before) / (countedMs / 60_000);
    });
  })();
  counted.catch(() => {});
  return {
    async finish(report) {
      const commands = await counted;
      report({
        what: "Redis commands a minute of an idle worker over REST",
        value: commands,
        unit: "/min",
        goal: atMost(commands, 2, "/min"),
      });
    },
    async [Symbol.asyncDispose]() {
      left.resolve();
      await counted.catch(() => {});
    },
  };
}

/** Reports the commands that a cell costs over REST while there is much to do. */
export async function measureCommands(
  stand: Stand,
  report: Report,
  { cells }: { cells: number },
): Promise<void> {
  await stand.flushRedis();
  await using base = await stand.openBase();
  await using gateway = await startGateway(stand.redis.url);
  const task = await submit(base, axesOf(cells));
  const place = { restUrl: gateway.url, restToken: gateway.token };
  await withWorker(base, place, { slots: 150, http: playNoOp() }, async () => {
    await until("the task's end", async () => (await readProgress(base.sql, task)).ended);
  });
  const each = gateway.commands / cells;
  report({
    what: "Redis commands a cell over REST, busy",
    value: each,
    unit: "",
    goal: atMost(each, 0.35, ""),
  });
}

/** Reports what Redis holds for a backlog, ours beside BullMQ's. */
export async function measureMemory(
  stand: Stand,
  report: Report,
  { cells }: { cells: number },
): Promise<void> {
  const size = cells.toLocaleString("en");
  await stand.flushRedis();
  const empty = await stand.countRedisBytes();
  const held = async () => Math.max(0, await stand.countRedisBytes() - empty) / 1e6;
  {
    await using base = await stand.openBase();
    await submit(base, axesOf(cells));
    // Nothing ever ends: the dispatch window stays as full as it gets.
    const http = () => new Promise<never>(() => {});
    await withWorker(base, { url: stand.redis.url }, { slots: 150, http }, async () => {
      await sleep(1_500);
      const ours = await held();
      report({
        what: `Redis memory, backlog of ${size}, 150 slots`,
        value: ours,
        unit: "MB",
        goal: atMost(ours, 2, "MB"),
      });
    });
  }
  await stand.flushRedis();
  await using base = await stand.openBase();
  const taskId = await submit(base, axesOf(cells));
  await using _peer = await peerProcess(stand, base, taskId, "bullmq", { slots: 150, writes: "result" });
  report({ what: `the same backlog in BullMQ`, value: await held(), unit: "MB" });
}
