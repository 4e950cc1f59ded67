/** Webhooks: who is told of a task's events, signed, and what became of it. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { readWebhookUrl } from "../../../config.ts";
import { lockOwnTask } from "../../../db/people/shares.ts";
import {
  deleteWebhook,
  type DeliveryRow,
  findWebhookSecret,
  hasWebhook,
  insertTestDelivery,
  insertWebhook,
  listDeliveries,
  listWebhooks,
  type WebhookRow,
} from "../../../db/queue/webhooks.ts";
import { AppError } from "../../../errors.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { answerOnce, completeAnswer } from "../kit/once.ts";
import { cutPage, pageOf, pageQuery, readCursor } from "../kit/pages.ts";
import { defineRoute, jsonAnswer, jsonBody, taskParams, time } from "../kit/route.ts";
import { drawToken } from "../kit/secrets.ts";
import { actorOf } from "../kit/principal.ts";
import { isUuid } from "../../../uuid.ts";
import { answerTagged } from "../kit/tag.ts";
import { getTaskOf, noTask, requireChange } from "../tasks/tasks_of.ts";

const events = ["submitted", "completed", "partial", "failed", "held"] as const;
const webhooksMax = 10;
const testsWaitingMax = 5;

const webhookIn = z.strictObject({
  url: z.string().max(2000).openapi({ description: "On a host that the operator allows (WEBHOOK_HOSTS)" }),
  events: z.array(z.enum(events)).min(1).max(events.length).default([
    "completed",
    "partial",
    "failed",
    "held",
  ]),
  secret: z.string().regex(/^[\x21-\x7e]{16,200}$/, "16 to 200 visible ASCII characters").optional()
    .openapi({ description: "Signs what is sent; drawn unless given" }),
}).openapi("WebhookIn");

const webhookFields = {
  id: z.uuid(),
  url: z.string(),
  events: z.array(z.string()),
  created_by: z.string().nullable().openapi({ description: "E-mail; null for who has gone" }),
  created_at: time,
};
const webhookOut = z.object(webhookFields).openapi("Webhook");
const newWebhookOut = z.object({
  ...webhookFields,
  secret: z.string().openapi({ description: "Told this once" }),
}).openapi("NewWebhook");

const deliveryOut = z.object({
  id: z.string(),
  event: z.string(),
  created_at: time,
  state: z.enum(["waiting", "arrived", "given_up"]),
  tries: z.int(),
  next_try_at: time.nullable().openapi({
    description: "Not before the webhook's earlier deliveries are closed",
  }),
  closed_at: time.nullable(),
  status: z.int().nullable().openapi({ description: "Of the receiver's last answer" }),
  error: z.string().nullable(),
}).openapi("Delivery");

const webhookParams = taskParams.extend({
  webhook: z.string().openapi({ param: { name: "webhook", in: "path" }, format: "uuid" }),
});

const postWebhook = defineRoute({
  method: "post",
  path: "/tasks/{id}/webhooks",
  who: "owner",
  tags: ["webhooks"],
  summary: "Have a task's events told to a URL",
  description:
    "Each is a POST of JSON with `X-Contactsheet-Event`, `X-Contactsheet-Delivery` (the same at each try) " +
    "and `X-Contactsheet-Signature: t=SECONDS,v1=HEX`, HEX being HMAC-SHA-256 of `SECONDS.BODY` under the secret.",
  request: { params: taskParams, body: jsonBody(webhookIn) },
  responses: { 201: jsonAnswer(newWebhookOut, "The webhook, with its secret") },
  problems: ["conflict"],
});

const getWebhooks = defineRoute({
  method: "get",
  path: "/tasks/{id}/webhooks",
  who: "owner",
  tags: ["webhooks"],
  summary: "The webhooks of a task, ten at most",
  request: { params: taskParams },
  responses: { 200: jsonAnswer(pageOf(webhookOut).openapi("Webhooks"), "Oldest first, all on one page") },
});

const removeWebhook = defineRoute({
  method: "delete",
  path: "/tasks/{id}/webhooks/{webhook}",
  who: "owner",
  tags: ["webhooks"],
  summary: "Tell that URL no more; what was not sent yet never is",
  request: { params: webhookParams },
  responses: { 204: { description: "It is gone, and its log with it" } },
});

const getDeliveries = defineRoute({
  method: "get",
  path: "/tasks/{id}/webhooks/{webhook}/deliveries",
  who: "owner",
  tags: ["webhooks"],
  summary: "What was sent, and what became of it",
  request: { params: webhookParams, query: pageQuery },
  responses: { 200: jsonAnswer(pageOf(deliveryOut).openapi("Deliveries"), "Newest first") },
});

const testWebhook = defineRoute({
  method: "post",
  path: "/tasks/{id}/webhooks/{webhook}/test",
  who: "owner",
  tags: ["webhooks"],
  summary: "Have an event `test` sent, as the others are",
  request: { params: webhookParams },
  responses: { 202: jsonAnswer(deliveryOut, "It will be sent; the deliveries tell how it went") },
  problems: ["conflict"],
});

const toWebhook = ({ created_at, ...row }: WebhookRow): z.infer<typeof webhookOut> => ({
  ...row,
  created_at: created_at.toISOString(),
});

function toDelivery({ due_at, ...row }: DeliveryRow): z.infer<typeof deliveryOut> {
  const arrived = row.status !== null && row.status >= 200 && row.status < 300;
  return {
    ...row,
    state: row.closed_at === null ? "waiting" : arrived ? "arrived" : "given_up",
    created_at: row.created_at.toISOString(),
    next_try_at: row.closed_at === null ? due_at.toISOString() : null,
    closed_at: row.closed_at?.toISOString() ?? null,
  };
}

const noWebhook = (id: string) => new AppError("not_found", `no webhook '${id.slice(0, 100)}' of this task`);

async function makeWebhook(c: Context<V2Env>, taskId: string, wish: z.infer<typeof webhookIn>) {
  requireChange(await getTaskOf(c, taskId));
  const { sql: pool, config } = c.var.deps;
  const target = readWebhookUrl(config.WEBHOOK_HOSTS, wish.url);
  if (typeof target === "string") {
    // Not the whole of it: a URL may be a secret itself.
    throw new AppError("invalid_request", "reading the request: faulty body.url", {
      fields: [{ field: "body.url", wanted: target }],
    });
  }
  const response = await answerOnce(c, async (sql) => {
    const actor = actorOf(c);
    const owned = await lockOwnTask(sql, taskId, actor);
    if (owned === undefined) throw noTask(taskId);
    if (!owned) throw new AppError("forbidden", `changing task '${taskId}': it is somebody else's`);
    const secret = wish.secret ?? drawToken("whsec_");
    const webhook = {
      taskId,
      url: target.url.href,
      secret,
      events: [...new Set(wish.events)],
      createdBy: actor.id,
    };
    const row = await insertWebhook(sql, webhook, webhooksMax);
    if (!row) {
      throw new AppError("conflict", `adding a webhook: the task has ${webhooksMax}, remove one first`);
    }
    return {
      status: 201,
      headers: { location: `/api/v2/tasks/${taskId}/webhooks/${row.id}` },
      body: toWebhook(row),
    };
  });
  return await completeAnswer(response, async ({ id }) => {
    const secret = await findWebhookSecret(pool, id);
    if (secret === undefined) {
      throw new AppError("conflict", "repeating a request: the webhook was removed since");
    }
    return { secret };
  });
}

/** @throws AppError not_found, forbidden */
async function getOwnWebhook(
  c: Context<V2Env>,
  { id, webhook }: { id: string; webhook: string },
): Promise<void> {
  requireChange(await getTaskOf(c, id));
  if (!isUuid(webhook) || !await hasWebhook(c.var.deps.sql, id, webhook)) throw noWebhook(webhook);
}

export function addWebhooks(app: V2App): void {
  app.openapi(
    postWebhook,
    async (c) => await makeWebhook(c, c.req.valid("param").id, c.req.valid("json")) as never,
  );
  app.openapi(getWebhooks, async (c) => {
    const { id } = c.req.valid("param");
    requireChange(await getTaskOf(c, id));
    const rows = await listWebhooks(c.var.deps.sql, id);
    return await answerTagged(c, { items: rows.map(toWebhook), next: null }) as never;
  });
  app.openapi(removeWebhook, async (c) => {
    const { id, webhook } = c.req.valid("param");
    await getOwnWebhook(c, { id, webhook });
    await deleteWebhook(c.var.deps.sql, { taskId: id, webhookId: webhook, actor: actorOf(c) });
    return c.body(null, 204);
  });
  app.openapi(getDeliveries, async (c) => {
    const { id, webhook } = c.req.valid("param");
    const { limit, cursor } = c.req.valid("query");
    await getOwnWebhook(c, { id, webhook });
    const [before] = readCursor(cursor, z.tuple([z.string().regex(/^\d{1,18}$/)])) ?? [];
    const rows = await listDeliveries(c.var.deps.sql, { webhookId: webhook, before, limit: limit + 1 });
    return await answerTagged(c, cutPage(rows, limit, toDelivery, (row) => [row.id])) as never;
  });
  app.openapi(testWebhook, async (c) => {
    const { id, webhook } = c.req.valid("param");
    await getOwnWebhook(c, { id, webhook });
    const wish = { taskId: id, webhookId: webhook, actor: actorOf(c), waitingMax: testsWaitingMax };
    const row = await insertTestDelivery(c.var.deps.sql, wish);
    if (!row) throw new AppError("conflict", `testing a webhook: ${testsWaitingMax} tests wait already`);
    return c.json(toDelivery(row), 202);
  });
}
