/** The whole from above, for who looks after it: is all there, what waits, who works; slots by hand. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { listQueueLoads, readLeadership } from "../../db/queue/doctor_fleet.ts";
import { deleteSlotOverride, saveSlotOverride } from "../../db/queue/slots.ts";
import { type Queue, queues } from "../../db/queue/subtasks.ts";
import { findSchemaStep, listQueueStates, listWorkers } from "../../db/queue/system.ts";
import { listHealth } from "../../db/queue/workers.ts";
import { AppError } from "../../errors.ts";
import type { V2App, V2Env } from "./kit/context.ts";
import { defineRoute, jsonAnswer, jsonBody, time } from "./kit/route.ts";
import { userOf } from "./people/sessions.ts";
import { textOf } from "./kit/texts.ts";

/** As the leader judges: without a sign of life for so long a worker is dead. */
const deadAfterMs = 6_000;
/** For how long slots may be set by hand. */
const overrideSecondsMax = 7 * 86_400;

const tags: ["system"] = ["system"];

const statusOut = z.object({
  status: z.enum(["ok", "degraded"]).openapi({ description: "`degraded`: something below is away" }),
  database: z.literal("ok"),
  redis: z.enum(["ok", "away", "unknown"]).openapi({
    description: "The API can do without, but for signing in",
  }),
  schema: z.object({ step: z.int(), name: z.string() }).nullable(),
  version: z.string(),
  workers: z.int().openapi({ description: "That gave a sign of life within 6 s" }),
  leader: z.boolean().openapi({ description: "Whether one of them leads" }),
  backlog: z.int().openapi({ description: "Cells that could start, up to 1,000 of each queue" }),
  running: z.int(),
}).openapi("SystemStatus");

const overrideOut = z.object({
  slots: z.int(),
  reason: z.string(),
  made_by: z.string(),
  made_at: time,
  expires_at: time,
}).openapi("SlotOverride");

const queueOut = z.object({
  queue: z.enum(queues),
  slots: z.int().openapi({ description: "Attempts that may run at once" }),
  wanted: z.int().openapi({ description: "What the backlog alone would have" }),
  reason: z.string(),
  changed_at: time,
  room: z.int().openapi({ description: "Slots that living workers have taken" }),
  running: z.int(),
  backlog: z.int().openapi({ description: "Cells that could start, counted up to 1,000" }),
  workers: z.int(),
  rate_per_minute: z.number().nullable().openapi({
    description: "Image jobs begun at its backend, between the last two looks; null at the first",
  }),
  health: z.object({
    calls: z.int(),
    failures: z.int(),
    throttled: z.int(),
    creates: z.int(),
    create_ms: z.number().nullable(),
  }).openapi({ description: "Of its backend, since the workers began" }),
  override: overrideOut.nullable(),
}).openapi("Queue");

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
  who: "staff",
  tags,
  summary: "Whether all is there",
  responses: { 200: jsonAnswer(statusOut, "As of now") },
});
const readQueues = defineRoute({
  method: "get",
  path: "/system/queues",
  who: "staff",
  tags,
  summary: "Slots, load and health of the queues",
  responses: { 200: jsonAnswer(z.object({ items: z.array(queueOut) }).openapi("Queues"), "All queues") },
});
const readWorkers = defineRoute({
  method: "get",
  path: "/system/workers",
  who: "staff",
  tags,
  summary: "Workers that are signed in",
  responses: { 200: jsonAnswer(z.object({ items: z.array(workerOut) }).openapi("Workers"), "Oldest first") },
});

const queueParams = z.object({
  q: z.string().openapi({
    param: { name: "q", in: "path" },
    example: "standard",
    description: "A queue's name",
  }),
});
const overrideIn = z.strictObject({
  slots: z.int().min(0).max(10_000),
  reason: textOf(200),
  expires_in: z.int().min(1).max(overrideSecondsMax).openapi({ description: "Seconds", example: 3600 }),
});
const patchQueue = defineRoute({
  method: "patch",
  path: "/system/queues/{q}",
  who: "admin",
  tags,
  summary: "Set a queue's slots by hand for a while, or take that back",
  description: "The leader obeys within a second, whatever backlog and health say, until it expires.",
  request: {
    params: queueParams,
    body: jsonBody(
      z.strictObject({ override: overrideIn.nullable().openapi({ description: "null takes it back" }) })
        .openapi("QueuePatch"),
    ),
  },
  responses: { 200: jsonAnswer(queueOut, "As it is now; the slots follow") },
});
const deleteOverride = defineRoute({
  method: "delete",
  path: "/system/queues/{q}/override",
  who: "admin",
  tags,
  summary: "Take back what was set by hand",
  request: { params: queueParams },
  responses: { 204: { description: "Nothing is set by hand now" } },
});

interface Look {
  atMs: number;
  creates: Map<string, number>;
  perMinute: Map<string, number>;
}

const looks = new WeakMap<object, Look>();
/** Looks closer to each other than this show the rate of the ones before. */
const lookMsMin = 5_000;

/** What the backends said, summed over workers; and how many jobs began in a minute since the last look. */
async function readHealth({ deps }: V2Env["Variables"]) {
  const all = new Map<string, z.infer<typeof queueOut>["health"] & { total_ms: number }>();
  for (const row of await listHealth(deps.sql)) {
    const sum = all.get(row.backend) ??
      { calls: 0, failures: 0, throttled: 0, creates: 0, create_ms: null, total_ms: 0 };
    sum.calls += row.calls;
    sum.failures += row.failures;
    sum.throttled += row.throttled;
    sum.creates += row.creates;
    sum.total_ms += row.createMs;
    sum.create_ms = sum.creates > 0 ? Math.round(sum.total_ms / sum.creates) : null;
    all.set(row.backend, sum);
  }
  const atMs = performance.now();
  const last = looks.get(deps);
  if (last && atMs - last.atMs < lookMsMin) return { all, perMinute: last.perMinute };
  const creates = new Map([...all].map(([backend, { creates }]) => [backend, creates]));
  const perMinute = new Map<string, number>();
  for (const [backend, now] of last ? creates : []) {
    // A worker that left took its count with it.
    const more = Math.max(0, now - (last!.creates.get(backend) ?? 0));
    perMinute.set(backend, Math.round(more / (atMs - last!.atMs) * 60_000 * 10) / 10);
  }
  looks.set(deps, { atMs, creates, perMinute });
  return { all, perMinute };
}

const backendOf = (queue: Queue): string => queue === "lumina" ? "lumina" : "standard";
const noHealth = { calls: 0, failures: 0, throttled: 0, creates: 0, create_ms: null, total_ms: 0 };

async function listAll(c: Context<V2Env>): Promise<z.infer<typeof queueOut>[]> {
  const { sql } = c.var.deps;
  const [states, loads, { all, perMinute }] = await Promise.all([
    listQueueStates(sql),
    listQueueLoads(sql, queues, deadAfterMs),
    readHealth(c.var),
  ]);
  const toTime = (text: string) => new Date(text).toISOString();
  return states.map(({ queue, override, changed_at, ...state }) => {
    const { room, running, backlog, workers } = loads.find((load) => load.queue === queue)!;
    const { total_ms: _, ...health } = all.get(backendOf(queue)) ?? noHealth;
    return {
      queue,
      ...state,
      changed_at: changed_at.toISOString(),
      room,
      running,
      backlog,
      workers,
      health,
      rate_per_minute: perMinute.get(backendOf(queue)) ?? null,
      override: override &&
        { ...override, made_at: toTime(override.made_at), expires_at: toTime(override.expires_at) },
    };
  });
}

function readQueueName(text: string): Queue {
  const queue = queues.find((known) => known === text);
  if (!queue) {
    throw new AppError("not_found", `no queue '${text.slice(0, 100)}': there are ${queues.join(", ")}`);
  }
  return queue;
}

async function setByHand(c: Context<V2Env>, queue: Queue, override: z.infer<typeof overrideIn> | null) {
  const { sql, log } = c.var.deps;
  const { email: made_by } = userOf(c);
  if (override === null) await deleteSlotOverride(sql, queue);
  else {
    const { slots, reason, expires_in: seconds } = override;
    await saveSlotOverride(sql, { queue, slots, reason, made_by, forMs: seconds * 1000 });
  }
  log.info("slots set by hand", { queue, slots: override?.slots ?? null, user_id: userOf(c).id });
}

export function addSystem(app: V2App): void {
  app.openapi(readStatus, async (c) => {
    const { sql, redis } = c.var.deps;
    const [schema, { leads }, loads, all, redisState] = await Promise.all([
      findSchemaStep(sql),
      readLeadership(sql),
      listQueueLoads(sql, queues, deadAfterMs),
      listWorkers(sql, deadAfterMs),
      redis ? redis.check().then(() => "ok" as const, () => "away" as const) : "unknown" as const,
    ]);
    const workers = all.filter(({ alive }) => alive).length;
    const sum = (key: "backlog" | "running") => loads.reduce((total, load) => total + load[key], 0);
    const isWhole = redisState !== "away" && workers > 0 && leads;
    return c.json({
      status: isWhole ? "ok" as const : "degraded" as const,
      database: "ok" as const,
      redis: redisState,
      schema: schema ? { step: schema.number, name: schema.name } : null,
      version: "2",
      workers,
      leader: leads,
      backlog: sum("backlog"),
      running: sum("running"),
    }, 200);
  });
  app.openapi(readQueues, async (c) => c.json({ items: await listAll(c) }, 200));
  app.openapi(readWorkers, async (c) => {
    const rows = await listWorkers(c.var.deps.sql, deadAfterMs);
    const items = rows.map(({ started_at, heartbeat_at, ...row }) => ({
      ...row,
      started_at: started_at.toISOString(),
      heartbeat_at: heartbeat_at.toISOString(),
    }));
    return c.json({ items }, 200);
  });
  app.openapi(patchQueue, async (c) => {
    const queue = readQueueName(c.req.valid("param").q);
    await setByHand(c, queue, c.req.valid("json").override);
    const found = (await listAll(c)).find((state) => state.queue === queue);
    if (!found) throw new AppError("not_found", `queue '${queue}' has no slots yet: no worker ever began`);
    return c.json(found, 200);
  });
  app.openapi(deleteOverride, async (c) => {
    await setByHand(c, readQueueName(c.req.valid("param").q), null);
    return c.body(null, 204);
  });
}
