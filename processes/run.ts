/** The parent of several API processes: starts them, restarts what ends by itself, and serves their health as one. */
import type { Config } from "../config.ts";
import { createLog, type Log } from "../log.ts";
import { listenOn, serveOps } from "../ops.ts";
import { print, whenAborted } from "../process.ts";
import { wait } from "../wait.ts";
import { createParentMetrics, MetricsSum } from "./metrics.ts";
import { ApiProcess } from "./process.ts";

/** Wait before the first restart, doubled by each further one up to the maximum. */
const restartMsMin = 100;
const restartMsMax = 10_000;
/** Running time after which the wait before a restart begins at its minimum again. */
const steadyMs = 30_000;
/** Maximum time of a process to end after it was asked to, without DRAIN_MS. */
const endMsMax = 5_000;

/** Throws if the port is in use: processes that share a port would not notice it. @throws AppError busy */
async function requireFreePort({ HOST: hostname, PORT: port }: Config): Promise<void> {
  if (port !== 0) await listenOn({ hostname, port }, "PORT", () => new Response()).shutdown();
}

/** Keeps one process running. It is `starting`, `listening`, or waits for its restart. */
class Keeper {
  current: ApiProcess | undefined;
  readonly #sum: MetricsSum;

  constructor(
    readonly options: {
      port: number;
      log: Log;
      sum: MetricsSum;
      metrics: ReturnType<typeof createParentMetrics>;
      signal: AbortSignal;
    },
  ) {
    this.#sum = options.sum;
  }

  /** Starts the process. @returns its URL, or its exit code if it ended before it listened and printed the reason */
  async start(): Promise<string | number> {
    const process = new ApiProcess(this.options.port);
    this.current = process;
    const ready = await process.ready;
    if (ready === undefined) return await process.ended;
    this.options.metrics.running.inc();
    return ready.listening;
  }

  /** Restarts the process whenever it ends, until the signal is aborted. @returns the exit code of the last one */
  async keep(): Promise<number> {
    const { signal, log, metrics } = this.options;
    let failures = 0;
    for (;;) {
      const startedAt = performance.now();
      const process = this.current!;
      const code = await process.ended;
      if (await process.ready) metrics.running.dec();
      await this.#sum.end(process.pid);
      // A process that could not start has nothing to drain.
      if (signal.aborted) return await process.ready ? code : 0;
      failures = performance.now() - startedAt > steadyMs ? 0 : failures + 1;
      const ms = Math.min(restartMsMax, restartMsMin * 2 ** Math.max(0, failures - 1));
      log.error("a process of the API ended", { pid: process.pid, code, restart_ms: ms });
      await wait(ms, signal);
      if (signal.aborted) return 0;
      metrics.restarts.inc();
      const outcome = await this.start();
      if (typeof outcome === "string") log.info("a process of the API started", { pid: this.current!.pid });
    }
  }

  /** Asks the process to drain, and kills it if it does not end. */
  async stop(drainMs: number): Promise<void> {
    const process = this.current;
    if (process === undefined) return;
    process.stop();
    const timer = setTimeout(() => process.kill(), drainMs + endMsMax);
    await process.ended;
    clearTimeout(timer);
  }
}

/** Returns metrics that ask every process when they are read. */
function createSharedMetrics(keepers: () => Keeper[], options: Keeper["options"]) {
  const { sum, metrics } = options;
  const read = async () => {
    await Promise.all(
      keepers().map(async ({ current }) => {
        const snapshot = await current?.readMetrics();
        if (snapshot) sum.set(current!.pid, snapshot);
      }),
    );
    return await sum.read(metrics.registry);
  };
  return {
    contentType: metrics.registry.contentType,
    metrics: async () => await (await read()).metrics(),
    getMetricsAsJSON: async () => await (await read()).getMetricsAsJSON(),
  };
}

/**
 * Runs `count` processes that listen on the same port until `signal` is aborted. The first one must start; the exit code
 * of its failure is the result.
 *
 * @returns 0 if every process ended with 0
 * @throws AppError busy
 */
export async function runProcesses(config: Config, count: number, signal: AbortSignal): Promise<number> {
  const log = createLog(config.LOG_LEVEL);
  await requireFreePort(config);
  const options = { log, signal, port: config.PORT, sum: new MetricsSum(), metrics: createParentMetrics() };
  const first = new Keeper(options);
  const outcome = await first.start();
  if (typeof outcome === "number") return outcome;
  const port = Number(new URL(outcome).port);
  const keepers = [first];
  for (let index = 1; index < count; index++) keepers.push(new Keeper({ ...options, port }));
  const outcomes = await Promise.all(keepers.slice(1).map((keeper) => keeper.start()));
  const failed = outcomes.find((code) => typeof code === "number");
  const checks = Object.fromEntries(
    keepers.map((keeper, index) => [`process_${index + 1}`, () => keeper.current!.check()]),
  );
  const registry = createSharedMetrics(() => keepers, options);
  await using stack = new AsyncDisposableStack();
  const stopAll = () => Promise.all(keepers.map((keeper) => keeper.stop(config.DRAIN_MS)));
  stack.defer(async () => void await stopAll());
  if (failed !== undefined) return failed as number;
  const admin = serveOps(config, { metrics: { registry }, checks, draining: signal });
  stack.defer(async () => await admin?.shutdown());
  print(JSON.stringify({ listening: outcome, processes: count }));
  log.info("processes started", { processes: count });
  const keeping = Promise.all(keepers.map((keeper) => keeper.keep()));
  await whenAborted(signal);
  await stopAll();
  return (await keeping).every((code) => code === 0) ? 0 : 1;
}
