/** What the processes count, in Prometheus' base units. One registry a process, handed on, never global. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

/** Opens a registry with every metric of the product. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    requests: new Counter({
      name: "contactsheet_http_requests_total",
      help: "Requests answered",
      labelNames: ["method", "route", "status"],
      registers,
    }),
    requestSeconds: new Histogram({
      name: "contactsheet_http_request_seconds",
      help: "Time to the answer's head",
      labelNames: ["route"],
      buckets: [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10],
      registers,
    }),
    attempts: new Counter({
      name: "contactsheet_attempts_total",
      help: "Attempts ended",
      labelNames: ["queue", "outcome"],
      registers,
    }),
    attemptSeconds: new Histogram({
      name: "contactsheet_attempt_seconds",
      help: "Time of one attempt",
      labelNames: ["queue"],
      buckets: [0.1, 0.3, 1, 3, 10, 30, 100, 300],
      registers,
    }),
    slots: new Gauge({
      name: "contactsheet_slots",
      help: "Attempts allowed at once",
      labelNames: ["queue"],
      registers,
    }),
    slotsBusy: new Gauge({
      name: "contactsheet_slots_busy",
      help: "Attempts under way",
      labelNames: ["queue"],
      registers,
    }),
    unsavedPosts: new Counter({
      name: "contactsheet_possible_double_generations_total",
      help: "Attempts taken over after a POST whose job id was never saved",
      registers,
    }),
    repairs: new Counter({
      name: "contactsheet_reconciler_repairs_total",
      help: "Rows the reconciler put right",
      labelNames: ["kind"],
      registers,
    }),
    limiterFailOpens: new Counter({
      name: "contactsheet_limiter_fail_opens_total",
      help: "Calls let through because the limiter had no answer",
      registers,
    }),
    limiterFailCloses: new Counter({
      name: "contactsheet_limiter_fail_closes_total",
      help: "Logins put off because the limiter had no answer",
      registers,
    }),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
