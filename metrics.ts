/** The Prometheus metrics, in base units. Each process has one registry, which is passed as a dependency. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

function createHttpMetrics(registers: Registry[]) {
  return {
    requests: new Counter({
      name: "contactsheet_http_requests_total",
      help: "Answered requests",
      labelNames: ["method", "route", "status"],
      registers,
    }),
    requestSeconds: new Histogram({
      name: "contactsheet_http_request_seconds",
      help: "Time until the head of the answer",
      labelNames: ["route"],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
      registers,
    }),
    limiterFailOpens: new Counter({
      name: "contactsheet_limiter_fail_opens_total",
      help: "Calls accepted because the limiter did not answer",
      registers,
    }),
    limiterFailCloses: new Counter({
      name: "contactsheet_limiter_fail_closes_total",
      help: "Logins refused because the limiter did not answer",
      registers,
    }),
  };
}

function createQueueMetrics(registers: Registry[]) {
  return {
    attempts: new Counter({
      name: "contactsheet_attempts_total",
      help: "Ended attempts",
      labelNames: ["queue", "outcome"],
      registers,
    }),
    attemptSeconds: new Histogram({
      name: "contactsheet_attempt_seconds",
      help: "Length of an attempt",
      labelNames: ["queue"],
      buckets: [0.1, 0.3, 1, 3, 10, 30, 100, 300],
      registers,
    }),
    slots: new Gauge({
      name: "contactsheet_slots",
      help: "Attempts that may run at once in this worker",
      labelNames: ["queue"],
      registers,
    }),
    slotsBusy: new Gauge({
      name: "contactsheet_slots_busy",
      help: "Running attempts of this worker",
      labelNames: ["queue"],
      registers,
    }),
    unsavedPosts: new Counter({
      name: "contactsheet_possible_double_generations_total",
      help: "Attempts released after a POST whose job id was not saved",
      registers,
    }),
    repairs: new Counter({
      name: "contactsheet_reconciler_repairs_total",
      help: "Rows that the reconciler repaired",
      labelNames: ["kind"],
      registers,
    }),
    redisFailing: new Gauge({
      name: "contactsheet_redis_failing",
      help: "1 while a use of Redis (reads, feed, logins) fails, with the cause",
      labelNames: ["use", "cause"],
      registers,
    }),
  };
}

/** Creates a registry with every metric of the product. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  return { registry, ...createHttpMetrics(registers), ...createQueueMetrics(registers) };
}

export type Metrics = ReturnType<typeof createMetrics>;
