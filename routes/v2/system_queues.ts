/** The queues for their operators: slots, load, health of the image API, and slot overrides. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { backendOf } from "../../db/queue/backends.ts";
import { listQueueLoads } from "../../db/queue/doctor_fleet.ts";
import { overrideReasonLengthMax, overrideSlotsMax } from "../../db/queue/override_limits.ts";
import { listSlotChanges } from "../../db/queue/slots.ts";
import { type Queue, queues } from "../../db/queue/subtasks.ts";
import { listQueueStates } from "../../db/queue/system.ts";
import { deadAfterMs } from "../../db/queue/times.ts";
import { listHealth } from "../../db/queue/workers.ts";
import { AppError } from "../../errors.ts";
import { clearSlots, setSlots } from "../../jobs/moves/slot_settings.ts";
import type { V2App, V2Deps, V2Env } from "./kit/context.ts";
import { defineRoute, jsonBody, jsonResponse, time } from "./kit/route.ts";
import { textSchema } from "./kit/texts.ts";
import { userOf } from "./people/sessions.ts";

/** Maximum duration of a slot override. */
const overrideSecondsMax = 7 * 86_400;

/** Changes of slots that a queue lists. */
const changesMax = 5;

const tags: ["system"] = ["system"];

const overrideOut = z.object({
  slots: z.int(),
  reason: z.string(),
  made_by: z.string(),
  made_at: time,
  expires_at: time,
}).openapi("SlotOverride");

const queueOut = z.object({
  queue: z.enum(queues),
  slots: z.int().openapi({ description: "Maximum number of concurrent attempts" }),
  wanted: z.int().openapi({ description: "Number of slots that the backlog alone would require" }),
  reason: z.string(),
  changed_at: time,
  room: z.int().openapi({ description: "Slots of the live workers" }),
  running: z.int(),
  backlog: z.int().openapi({ description: "Dispatchable cells, counted up to 1,000" }),
  workers: z.int(),
  rate_per_minute: z.number().nullable().openapi({
    description:
      "Image jobs that the queue's backend started per minute, between the last two measurements; null at first",
  }),
  health: z.object({
    calls: z.int(),
    failures: z.int(),
    throttled: z.int(),
    creates: z.int(),
    create_ms: z.number().nullable(),
  }).openapi({ description: "Calls to the queue's backend since the workers started" }),
  override: overrideOut.nullable(),
  changes: z.array(z.object({
    at: time,
    slots_before: z.int(),
    slots_after: z.int(),
    reason: z.string(),
  })).openapi({ description: `Changes of \`slots\`, newest first, at most ${changesMax}` }),
}).openapi("Queue");

const readQueues = defineRoute({
  method: "get",
  path: "/system/queues",
  access: "staff",
  tags,
  summary: "Get slots, load and health of the queues",
  responses: { 200: jsonResponse(z.object({ items: z.array(queueOut) }).openapi("Queues"), "All queues") },
});
const queueParams = z.object({
  q: z.string().openapi({
    param: { name: "q", in: "path" },
    enum: [...queues],
    example: "standard",
    description: "Name of the queue",
  }),
});
const overrideIn = z.strictObject({
  slots: z.int().min(0).max(overrideSlotsMax),
  reason: textSchema(overrideReasonLengthMax),
  expires_in: z.int().min(1).max(overrideSecondsMax).openapi({
    description: "Duration in seconds",
    example: 3600,
  }),
});
const patchQueue = defineRoute({
  method: "patch",
  path: "/system/queues/{q}",
  access: "admin",
  tags,
  summary: "Set or remove the slot override of a queue",
  description:
    "The leader applies the override within a second. It takes precedence over backlog and health until it expires.",
  request: {
    params: queueParams,
    body: jsonBody(
      z.strictObject({
        override: overrideIn.nullable().openapi({ description: "null removes the override" }),
      })
        .openapi("QueuePatch"),
    ),
  },
  responses: {
    200: jsonResponse(queueOut, "The queue with its override; `slots` changes when the leader applies it"),
  },
});
const deleteOverride = defineRoute({
  method: "delete",
  path: "/system/queues/{q}/override",
  access: "admin",
  tags,
  summary: "Remove the slot override of a queue",
  request: { params: queueParams },
  responses: { 204: { description: "The queue has no override" } },
});

type Sql = V2Deps["sql"];
type Health = z.infer<typeof queueOut>["health"];

const noHealth: Health = { calls: 0, failures: 0, throttled: 0, creates: 0, create_ms: null };

/** Returns the health of each backend, summed over its workers. */
async function readHealth(sql: Sql): Promise<Map<string, Health>> {
  const health = new Map<string, Health>();
  const createMs = new Map<string, number>();
  for (const row of await listHealth(sql)) {
    const sum = health.get(row.backend) ?? { ...noHealth };
    sum.calls += row.calls;
    sum.failures += row.failures;
    sum.throttled += row.throttled;
    sum.creates += row.creates;
    const totalMs = (createMs.get(row.backend) ?? 0) + row.createMs;
    sum.create_ms = sum.creates > 0 ? Math.round(totalMs / sum.creates) : null;
    createMs.set(row.backend, totalMs);
    health.set(row.backend, sum);
  }
  return health;
}

/** Measures image jobs per minute, from the counts of `health` between calls. */
type MeasureRates = (health: Map<string, Health>) => Map<string, number>;

/** Calls that follow sooner than this return the rates of the last measurement. */
const measureMsMin = 5_000;

function createRateMeter(): MeasureRates {
  let last: { atMs: number; creates: Map<string, number>; rates: Map<string, number> } | undefined;
  return (health) => {
    const atMs = performance.now();
    if (last && atMs - last.atMs < measureMsMin) return last.rates;
    const creates = new Map([...health].map(([backend, { creates }]) => [backend, creates]));
    const rates = new Map<string, number>();
    for (const [backend, count] of last ? creates : []) {
      // The sum decreases when a worker leaves.
      const started = Math.max(0, count - (last!.creates.get(backend) ?? 0));
      rates.set(backend, Math.round(started / (atMs - last!.atMs) * 60_000 * 10) / 10);
    }
    last = { atMs, creates, rates };
    return rates;
  };
}

async function listQueues(sql: Sql, measureRates: MeasureRates): Promise<z.infer<typeof queueOut>[]> {
  const [states, loads, health] = await Promise.all([
    listQueueStates(sql),
    listQueueLoads(sql, queues, deadAfterMs),
    readHealth(sql),
  ]);
  const changes = await listSlotChanges(sql, queues, changesMax);
  const rates = measureRates(health);
  const toTime = (text: string) => new Date(text).toISOString();
  return states.map(({ queue, override, changed_at, ...state }) => {
    const { room, running, backlog, workers } = loads.find((load) => load.queue === queue)!;
    return {
      queue,
      ...state,
      changed_at: changed_at.toISOString(),
      room,
      running,
      backlog,
      workers,
      health: health.get(backendOf(queue)) ?? noHealth,
      rate_per_minute: rates.get(backendOf(queue)) ?? null,
      override: override &&
        { ...override, made_at: toTime(override.made_at), expires_at: toTime(override.expires_at) },
      changes: changes.filter((change) => change.queue === queue)
        .map(({ queue: _, changed_at, ...change }) => ({ at: changed_at.toISOString(), ...change })),
    };
  });
}

/** @throws AppError not_found */
function readQueueName(text: string): Queue {
  const queue = queues.find((known) => known === text);
  if (!queue) {
    throw new AppError("not_found", `no queue '${text.slice(0, 100)}': there are ${queues.join(", ")}`);
  }
  return queue;
}

async function setOverride(
  c: Context<V2Env>,
  queue: Queue,
  override: z.infer<typeof overrideIn> | null,
): Promise<void> {
  const { deps } = c.var;
  const { id: user_id, email: by } = userOf(c);
  if (override === null) {
    await clearSlots(deps, queue, { user_id });
    return;
  }
  const { slots, reason, expires_in: seconds } = override;
  await setSlots(deps, { queue, slots, reason, by, forMs: seconds * 1000 }, { user_id });
}

export function addQueues(app: V2App, { sql }: V2Deps): void {
  const measureRates = createRateMeter();
  app.openapi(readQueues, async (c) => c.json({ items: await listQueues(sql, measureRates) }, 200));
  app.openapi(patchQueue, async (c) => {
    const queue = readQueueName(c.req.valid("param").q);
    await setOverride(c, queue, c.req.valid("json").override);
    const found = (await listQueues(sql, measureRates)).find((state) => state.queue === queue);
    if (!found) throw new AppError("not_found", `queue '${queue}' has no slots yet: no worker ever began`);
    return c.json(found, 200);
  });
  app.openapi(deleteOverride, async (c) => {
    await setOverride(c, readQueueName(c.req.valid("param").q), null);
    return c.body(null, 204);
  });
}
