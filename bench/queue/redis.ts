/** The cost of Redis: commands of an idle worker and commands per cell over REST, memory with a large backlog. */
import { startGateway } from "../../tests/support/upstash_gateway.ts";
import { startPeer } from "./throughput.ts";
import { atMost, type Report } from "../report.ts";
import { axisLengths, type Harness, readProgress, sleep, submit, waitUntil, withWorker } from "./harness.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { createNoOpImageApi } from "../peers/no_op.ts";

/** Time until polls reach their longest pause: pauses double from 0.1 s to 90 s, and the last shorter one ends after 102 s. */
const settleMs = 110_000;
/** Time in which commands are counted: two of the longest pauses. */
const countedMs = 180_000;

/** An idle worker with its own servers, which are stopped on disposal. */
export interface IdleWatch extends AsyncDisposable {
  /** Reports the commands that the idle worker sent per minute, as a mean of three minutes. */
  finish(report: Report): Promise<void>;
}

/** Starts an idle worker that uses REST and its own Redis, while other parts of the bench run. */
export function watchIdle(harness: Harness): IdleWatch {
  const disposed = Promise.withResolvers<void>();
  const counted = (async () => {
    await using database = await harness.createDatabase();
    await using redis = await startRedis();
    await using gateway = await startGateway(redis.url);
    const address = { restUrl: gateway.url, restToken: gateway.token };
    return await withWorker(database, address, { slots: 50, http: createNoOpImageApi() }, async () => {
      await Promise.race([disposed.promise, sleep(settleMs)]);
      const before = gateway.commands;
      await Promise.race([disposed.promise, sleep(countedMs)]);
      return (gateway.commands - before) / (countedMs / 60_000);
    });
  })();
  counted.catch(() => {});
  return {
    async finish(report) {
      const commands = await counted;
      report({
        what: "Redis commands per minute, idle over REST",
        value: commands,
        unit: "/min",
        goal: atMost(commands, 2, "/min"),
      });
    },
    async [Symbol.asyncDispose]() {
      disposed.resolve();
      await counted.catch(() => {});
    },
  };
}

/** Reports the Redis commands per cell over REST while there is a backlog. */
export async function measureCommands(
  harness: Harness,
  report: Report,
  { cells }: { cells: number },
): Promise<void> {
  await harness.flushRedis();
  await using database = await harness.createDatabase();
  await using gateway = await startGateway(harness.redis.url);
  const task = await submit(database, axisLengths(cells));
  const address = { restUrl: gateway.url, restToken: gateway.token };
  await withWorker(database, address, { slots: 150, http: createNoOpImageApi() }, async () => {
    await waitUntil("the end of the task", async () => (await readProgress(database.sql, task)).ended);
  });
  const each = gateway.commands / cells;
  report({
    what: "Redis commands per cell over REST, busy",
    value: each,
    unit: "",
    goal: atMost(each, 0.35, ""),
  });
}

/** Reports the memory that Redis needs for a backlog, for this queue and for BullMQ. */
export async function measureMemory(
  harness: Harness,
  report: Report,
  { cells }: { cells: number },
): Promise<void> {
  const size = cells.toLocaleString("en");
  await harness.flushRedis();
  const empty = await harness.countRedisBytes();
  const readMegabytes = async () => Math.max(0, await harness.countRedisBytes() - empty) / 1e6;
  {
    await using database = await harness.createDatabase();
    await submit(database, axisLengths(cells));
    // No job ever ends, so the dispatch window stays full.
    const http = () => new Promise<never>(() => {});
    await withWorker(database, { url: harness.redis.url }, { slots: 150, http }, async () => {
      await sleep(1_500);
      const ours = await readMegabytes();
      report({
        what: `Redis memory, backlog of ${size}, 150 slots`,
        value: ours,
        unit: "MB",
        goal: atMost(ours, 2, "MB"),
      });
    });
  }
  await harness.flushRedis();
  await using database = await harness.createDatabase();
  const taskId = await submit(database, axisLengths(cells));
  await using _peer = await startPeer(harness, database, taskId, "bullmq", { slots: 150, writes: "result" });
  report({ what: "the same backlog in BullMQ", value: await readMegabytes(), unit: "MB" });
}
