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
    reads: new Counter({
      name: "contactsheet_reads_total",
      help: "Reads that a replica could answer, by the server that answered (primary, replica)",
      labelNames: ["server"],
      registers,
    }),
    replicaUsed: new Gauge({
      name: "contactsheet_replica_used",
      help: "1 while the replica answers reads, 0 while it is left out",
      registers,
      aggregator: "min",
    }),
    replicaWaitSeconds: new Gauge({
      name: "contactsheet_replica_wait_seconds",
      help: "How long the latest read waited for the replica to have all earlier writes",
      registers,
      aggregator: "max",
    }),
    limiterFailCloses: new Counter({
      name: "contactsheet_limiter_fail_closes_total",
      help: "Logins refused because the limiter did not answer",
      registers,
    }),
    databaseWaiting: new Gauge({
      name: "contactsheet_database_waiting",
      help: "Requests that wait for the database",
      registers,
    }),
    databaseRefusals: new Counter({
      name: "contactsheet_database_refusals_total",
      help: "Requests refused because others used the database for too long",
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
      help: "1 while a use of Redis (reads, drops, feed, logins) fails, with the cause",
      labelNames: ["use", "cause"],
      aggregator: "max",
      registers,
    }),
  };
}

/** Metrics of the whole queue. Only the worker that leads sets them, so that no sum over workers counts twice. */
function createFleetMetrics(registers: Registry[]) {
  return {
    leading: new Gauge({
      name: "contactsheet_leading",
      help: "1 at the worker that leads, 0 at the others",
      registers,
    }),
    workersAlive: new Gauge({
      name: "contactsheet_workers",
      help: "Workers with a recent heartbeat",
      registers,
    }),
    queuePending: new Gauge({
      name: "contactsheet_queue_pending",
      help: "Cells that wait and may be drawn, counted up to 10000",
      labelNames: ["queue"],
      registers,
    }),
    queueAge: new Gauge({
      name: "contactsheet_queue_age_seconds",
      help: "Age of the oldest task with cells that wait and may be drawn",
      labelNames: ["queue"],
      registers,
    }),
    heldTasks: new Gauge({
      name: "contactsheet_held_tasks",
      help: "Open tasks that are held (import, pause, canary)",
      labelNames: ["hold"],
      registers,
    }),
    noticeLate: new Gauge({
      name: "contactsheet_notice_late_seconds",
      help: "How long the oldest notice that is due waits",
      registers,
    }),
  };
}

/** Metrics of an API process that stands before the old backend. */
function createFrontMetrics(registers: Registry[]) {
  return {
    frontRequests: new Counter({
      name: "contactsheet_front_requests_total",
      help: "Requests of v1 by phase of the traffic and by the system that answered (old, new, none)",
      labelNames: ["phase", "system"],
      registers,
    }),
    frontHeldWrites: new Gauge({
      name: "contactsheet_front_held_writes",
      help: "Writes that wait for the end of a switch",
      registers,
    }),
    frontHoldSeconds: new Histogram({
      name: "contactsheet_front_hold_seconds",
      help: "How long writes waited for the end of a switch",
      buckets: [0.01, 0.03, 0.1, 0.3, 1, 1.5, 3, 5, 10, 30, 60],
      registers,
    }),
    frontProxyFailures: new Counter({
      name: "contactsheet_front_proxy_failures_total",
      help: "Requests that the old backend did not answer",
      registers,
    }),
    frontShadow: new Counter({
      name: "contactsheet_front_shadow_answers_total",
      help: "Answers of the old backend taken for comparison: equal, different, or dropped",
      labelNames: ["outcome"],
      registers,
    }),
    frontShadowDifferences: new Counter({
      name: "contactsheet_front_shadow_differences_total",
      help: "Differences of compared answers by cause (lag, data, code, noise, intended)",
      labelNames: ["cause"],
      registers,
    }),
  };
}

/** Creates a registry with every metric of the product. */
export function createMetrics() {
  const registry = new Registry();
  const registers = [registry];
  return {
    registry,
    ...createHttpMetrics(registers),
    ...createQueueMetrics(registers),
    ...createFleetMetrics(registers),
    ...createFrontMetrics(registers),
  };
}

export type Metrics = ReturnType<typeof createMetrics>;
