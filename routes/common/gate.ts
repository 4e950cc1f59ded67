/** Limits concurrent database requests. Excess requests wait up to `waitMsMax`, then fail with `busy`. */
import { AppError } from "../../errors.ts";
import type { Metrics } from "../../metrics.ts";
import { counted, inflect } from "../../phrases.ts";

export interface Gate {
  /**
   * Runs `work` as soon as the concurrency limit permits it.
   *
   * @param request the request that waits; it leaves the queue when its client disconnects
   * @throws AppError busy if the limit did not permit it in time; `work` has not started then
   */
  run<T>(request: Request, work: () => Promise<T> | T): Promise<T>;
}

export interface GateOptions {
  /** Initial and lowest concurrency limit. */
  concurrencyMin?: number;
  /**
   * Highest concurrency limit. It applies while requests are quick, and keeps the connections busy between
   * them.
   */
  concurrencyMax?: number;
  /** Maximum wait in milliseconds. */
  waitMsMax?: number;
  /** Maximum number of waiting requests. A further request fails at once. */
  waitingMax?: number;
  metrics?: Pick<Metrics, "databaseWaiting" | "databaseRefusals">;
}

/** A request quicker than this many milliseconds raises the limit by one; a slower one halves it. */
const quickMs = 100;
/** After this many milliseconds without a finished request, only `concurrencyMin` applies. */
const stalledMs = 250;

const busy = (reason: string) => new AppError("busy", `waiting for the database: ${reason}`);

/**
 * Creates a gate with additive increase and multiplicative decrease of its limit. A gate counts requests and
 * opens no connection.
 */
export function createGate(
  { concurrencyMin = 16, concurrencyMax = 64, waitMsMax = 1500, waitingMax = 1000, metrics }: GateOptions =
    {},
): Gate {
  /** Callbacks that admit one waiting request each, in order of arrival. */
  const waiters = new Set<() => void>();
  let running = 0;
  let limit = concurrencyMin;
  let finishedAt = 0;

  function hasRoom(): boolean {
    if (running < concurrencyMin) return true;
    return running < limit && performance.now() - finishedAt < stalledMs;
  }

  function wait({ signal }: Request): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stopWaiting = () => {
      clearTimeout(timer);
      waiters.delete(admit);
      metrics?.databaseWaiting.set(waiters.size);
      signal.removeEventListener("abort", fail);
    };
    const admit = () => {
      stopWaiting();
      resolve();
    };
    const fail = () => {
      stopWaiting();
      metrics?.databaseRefusals.inc();
      reject(busy(`${counted(running, "request")} ${inflect(running, "uses", "use")} it already`));
    };
    const timer = setTimeout(fail, waitMsMax);
    signal.addEventListener("abort", fail);
    waiters.add(admit);
    metrics?.databaseWaiting.set(waiters.size);
    return promise;
  }

  function finish(startedAt: number): void {
    running--;
    finishedAt = performance.now();
    const isQuick = finishedAt - startedAt < quickMs;
    limit = isQuick ? Math.min(concurrencyMax, limit + 1) : Math.max(concurrencyMin, limit >> 1);
    for (const admit of waiters) {
      if (!hasRoom()) return;
      running++;
      admit();
    }
  }

  return {
    async run(request, work) {
      if (hasRoom()) running++;
      else if (waiters.size < waitingMax) await wait(request);
      else {
        metrics?.databaseRefusals.inc();
        throw busy(`${waitingMax} requests wait already`);
      }
      const startedAt = performance.now();
      try {
        return await work();
      } finally {
        finish(startedAt);
      }
    },
  };
}
