/** The metrics of several processes as one: each value is the sum over all of them. */
import { AggregatorRegistry, Counter, Gauge, type MetricObject, Registry } from "prom-client";

/** Creates the metrics of the parent itself. */
export function createParentMetrics() {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    running: new Gauge({
      name: "contactsheet_api_processes",
      help: "Processes of the API that listen",
      registers,
    }),
    restarts: new Counter({
      name: "contactsheet_api_process_restarts_total",
      help: "Processes of the API that ended by themselves and were started again",
      registers,
    }),
  };
}

/** The state of a registry at one moment, as `getMetricsAsJSON` returns it. */
export type Snapshot = MetricObject[];

const sum = (snapshots: Snapshot[]): Registry =>
  AggregatorRegistry.aggregate(snapshots.filter((snapshot) => snapshot.length > 0)) as unknown as Registry;

const isCumulative = ({ type }: { type: unknown }): boolean => type === "counter" || type === "histogram";

/**
 * Sums the metrics of processes that come and go. Counters of a process that has ended stay in the sum with their latest
 * known values: a sum that fell would look like a restart of all, and its rate would count requests twice.
 */
export class MetricsSum {
  readonly #latest = new Map<number, Snapshot>();
  #ended: Snapshot = [];

  /** Sets the present state of a running process. */
  set(pid: number, snapshot: Snapshot): void {
    this.#latest.set(pid, snapshot);
  }

  /** Moves a process that has ended out of the running ones. */
  async end(pid: number): Promise<void> {
    const last = (this.#latest.get(pid) ?? []).filter(isCumulative);
    this.#latest.delete(pid);
    this.#ended = await sum([this.#ended, last]).getMetricsAsJSON() as Snapshot;
  }

  /** Returns the sum, with the metrics of the caller's own registry. */
  async read(own: Registry): Promise<Registry> {
    const ownSnapshot = await own.getMetricsAsJSON() as Snapshot;
    return sum([...this.#latest.values(), this.#ended, ownSnapshot]);
  }
}
