/** The webhooks of all tasks, for admins. Their deliveries are listed by the routes of the task. */
import { z } from "@hono/zod-openapi";
import { listAllWebhooks } from "../../db/queue/webhooks.ts";
import type { V2App } from "./kit/context.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "./kit/pages.ts";
import { defineRoute, jsonResponse } from "./kit/route.ts";
import { toWebhook, webhookFields } from "./live/webhooks.ts";

const webhookOut = z.object({
  ...webhookFields,
  task_id: z.uuid(),
  task_name: z.string(),
  waiting: z.int().openapi({ description: "Deliveries that wait" }),
  arrived: z.int(),
  given_up: z.int(),
  error: z.string().nullable().openapi({
    description: "Of the last try of the newest delivery that has one",
  }),
}).openapi("SystemWebhook");

const readWebhooks = defineRoute({
  method: "get",
  path: "/system/webhooks",
  access: "admin",
  tags: ["system"],
  summary: "List the webhooks of all tasks with the outcome of their deliveries",
  request: { query: pageQuery },
  responses: { 200: jsonResponse(pageOf(webhookOut).openapi("SystemWebhooks"), "Newest first") },
});

export function addSystemWebhooks(app: V2App): void {
  app.openapi(readWebhooks, async (c) => {
    const { limit, cursor } = c.req.valid("query");
    const before = decodeCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()]));
    const rows = await listAllWebhooks(c.var.deps.sql, { before, limit: limit + 1 });
    const page = toPage(
      rows,
      limit,
      (row) => ({ ...row, ...toWebhook(row) }),
      (row) => [row.created_at.toISOString(), row.id],
    );
    return c.json(page, 200);
  });
}
