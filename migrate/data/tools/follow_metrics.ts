/** The Prometheus metrics of the processes `sync` and `back`, and the private port that serves them. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { AppError } from "../../../errors.ts";
import { type Check, serveOps } from "../../../ops.ts";

const batchBuckets = [0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30];

/** Creates a registry with the memory of this process, and functions that add metrics to it. */
function createRegistry() {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: "contactsheet_memory_bytes",
    help: "Memory of this process that is in use",
    registers,
    collect() {
      this.set(Deno.memoryUsage().rss);
    },
  });
  return {
    registry,
    gauge: (name: string, help: string) => new Gauge({ name, help, registers }),
    counter: (name: string, help: string) => new Counter({ name, help, registers }),
  };
}

/** Creates the metrics of `sync`. */
export function createSyncMetrics() {
  const { registry, gauge, counter } = createRegistry();
  return {
    registry,
    lag: gauge("contactsheet_sync_lag_seconds", "How far the rows are behind the source"),
    headroom: gauge("contactsheet_sync_headroom_seconds", "Time until the position leaves the oplog"),
    events: counter("contactsheet_sync_events_total", "Changes that were read"),
    documents: counter("contactsheet_sync_documents_total", "Documents that were applied"),
    batchSeconds: new Histogram({
      name: "contactsheet_sync_batch_seconds",
      help: "Time from reading a batch to its commit",
      buckets: batchBuckets,
      registers: [registry],
    }),
    waiting: gauge("contactsheet_sync_waiting", "Documents that wait for their task or a key"),
    quarantined: gauge("contactsheet_sync_quarantined", "Documents in quarantine"),
    openGaps: gauge("contactsheet_sync_open_gaps", "Gaps that are not healed"),
    healedGaps: gauge("contactsheet_sync_healed_gaps", "Gaps that were healed since the source is followed"),
    retries: counter("contactsheet_sync_retries_total", "Failures after which the work was tried again"),
  };
}

export type SyncMetrics = ReturnType<typeof createSyncMetrics>;

/** Creates the metrics of `back`. */
export function createBackMetrics() {
  const { registry, gauge, counter } = createRegistry();
  return {
    registry,
    lag: gauge("contactsheet_back_lag_seconds", "Age of the oldest change that MongoDB does not have"),
    pending: gauge("contactsheet_back_pending", "Changes that MongoDB does not have"),
    changes: counter("contactsheet_back_changes_total", "Changes that were applied"),
    documents: counter("contactsheet_back_documents_total", "Documents that MongoDB has confirmed"),
    refused: gauge("contactsheet_back_refused", "Rows of the last batch whose document MongoDB refused"),
  };
}

export type BackMetrics = ReturnType<typeof createBackMetrics>;

/** A private port, or none. */
export interface AdminPort extends AsyncDisposable {
  /** Why there is none although one was wanted. */
  fault: string | undefined;
}

/**
 * Serves `/live`, `/ready` and `/metrics` on ADMIN_HOST and ADMIN_PORT while a command runs. A port that is in use is a
 * fault that the caller reports: API and worker may have the same setting, and the command matters more.
 */
export function serveAdmin(
  { config, registry, checks, signal }: {
    config: { ADMIN_HOST: string; ADMIN_PORT: number };
    registry: Registry;
    checks: Record<string, Check>;
    signal: AbortSignal;
  },
): AdminPort {
  try {
    const server = serveOps(config, { metrics: { registry }, checks, draining: signal });
    return { fault: undefined, [Symbol.asyncDispose]: async () => await server?.shutdown() };
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    const fault = `no metrics: ${error.message} for this command`;
    return { fault, [Symbol.asyncDispose]: () => Promise.resolve() };
  }
}
