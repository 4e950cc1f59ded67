/** The system for its operators: its status and its workers. */
import { z } from "@hono/zod-openapi";
import { listQueueLoads, readLeadership } from "../../db/queue/doctor_fleet.ts";
import { queues } from "../../db/queue/subtasks.ts";
import { findSchemaStep, listWorkers } from "../../db/queue/system.ts";
import { deadAfterMs } from "../../db/queue/times.ts";
import type { V2App, V2Deps } from "./kit/context.ts";
import { defineRoute, jsonResponse, time } from "./kit/route.ts";

const tags: ["system"] = ["system"];

const statusOut = z.object({
  status: z.enum(["ok", "degraded"]).openapi({
    description: "`degraded`: a part of the system is unavailable",
  }),
  database: z.literal("ok"),
  redis: z.enum(["ok", "away", "unknown"]).openapi({
    description: "Without Redis, only logins fail. `unknown`: this process has no connection",
  }),
  schema: z.object({ step: z.int(), name: z.string() }).nullable(),
  version: z.string(),
  workers: z.int().openapi({ description: "Workers with a heartbeat within the last 6 s" }),
  leader: z.boolean().openapi({ description: "Whether a worker is the leader" }),
  backlog: z.int().openapi({ description: "Dispatchable cells; each queue counts up to 1,000" }),
  running: z.int(),
}).openapi("SystemStatus");

const workerOut = z.object({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  queues: z.array(z.enum(queues)),
  slots: z.record(z.string(), z.int()),
  running: z.int(),
  started_at: time,
  heartbeat_at: time,
  alive: z.boolean(),
}).openapi("Worker");

const readStatus = defineRoute({
  method: "get",
  path: "/system/status",
  access: "staff",
  tags,
  summary: "Get the status of the system",
  responses: { 200: jsonResponse(statusOut, "The current status") },
});
const readWorkers = defineRoute({
  method: "get",
  path: "/system/workers",
  access: "staff",
  tags,
  summary: "List the registered workers",
  responses: {
    200: jsonResponse(z.object({ items: z.array(workerOut) }).openapi("Workers"), "Oldest first"),
  },
});

async function readSystemStatus({ sql, redis }: V2Deps): Promise<z.infer<typeof statusOut>> {
  const [schema, { leads }, loads, all, redisState] = await Promise.all([
    findSchemaStep(sql),
    readLeadership(sql),
    listQueueLoads(sql, queues, deadAfterMs),
    listWorkers(sql, deadAfterMs),
    redis ? redis.check().then(() => "ok" as const, () => "away" as const) : "unknown" as const,
  ]);
  const workers = all.filter(({ alive }) => alive).length;
  const sum = (key: "backlog" | "running") => loads.reduce((total, load) => total + load[key], 0);
  return {
    status: redisState !== "away" && workers > 0 && leads ? "ok" : "degraded",
    database: "ok",
    redis: redisState,
    schema: schema ? { step: schema.number, name: schema.name } : null,
    version: "2",
    workers,
    leader: leads,
    backlog: sum("backlog"),
    running: sum("running"),
  };
}

export function addSystem(app: V2App): void {
  app.openapi(readStatus, async (c) => c.json(await readSystemStatus(c.var.deps), 200));
  app.openapi(readWorkers, async (c) => {
    const rows = await listWorkers(c.var.deps.sql, deadAfterMs);
    const items = rows.map(({ started_at, heartbeat_at, ...row }) => ({
      ...row,
      started_at: started_at.toISOString(),
      heartbeat_at: heartbeat_at.toISOString(),
    }));
    return c.json({ items }, 200);
  });
}
