/** Shares: links to one task for people without an account, for reading or rating. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  findShareAbout,
  insertShare,
  listShares,
  revokeShare,
  type ShareRow,
} from "../../../db/people/shares.ts";
import { findChangeableTask } from "../../../db/people/task_access.ts";
import { AppError } from "../../../errors.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { extendBody, respondOnce } from "../kit/idempotency.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../kit/pages.ts";
import { basePath, defineRoute, jsonBody, jsonResponse, taskParams, time } from "../kit/route.ts";
import { createToken, hashToken, shareTokenPrefix } from "../kit/secrets.ts";
import { respondTagged } from "../kit/etag.ts";
import { textSchema } from "../kit/texts.ts";
import { actorOf } from "../kit/principal.ts";
import { getReadableTask, notTaskOwner, requireMayChange, taskNotFound } from "../tasks/task_access.ts";
import { isUuid } from "../../../uuid.ts";

const daySeconds = 86_400;
/** Maximum number of valid shares of a task. */
const sharesMax = 100;

const shareIn = z.strictObject({
  label: textSchema(200, 0).default("")
    .openapi({ description: "Recipient or purpose" }),
  mode: z.enum(["read", "rate"]),
  blind: z.boolean().default(false)
    .openapi({ description: "Hide others' ratings of an image until it is rated" }),
  expires_in: z.int().min(60).max(90 * daySeconds).default(7 * daySeconds)
    .openapi({ description: "Lifetime in seconds, at most 90 days" }),
}).openapi("ShareIn");

const shareFields = {
  id: z.uuid(),
  label: z.string(),
  mode: z.enum(["read", "rate"]),
  blind: z.boolean(),
  created_by: z.string().nullable().openapi({ description: "E-mail address; null for a deleted user" }),
  created_at: time,
  expires_at: time,
  revoked_at: time.nullable(),
};
const shareOut = z.object(shareFields).openapi("Share");
const newShareOut = z.object({
  ...shareFields,
  token: z.string().openapi({
    description: "Token for `Authorization: Bearer`. It is returned only here; the server stores its hash",
  }),
}).openapi("NewShare");

const shareParams = taskParams.extend({
  share: z.string().openapi({ param: { name: "share", in: "path" }, format: "uuid" }),
});

const postShare = defineRoute({
  method: "post",
  path: "/tasks/{id}/shares",
  access: "owner",
  tags: ["shares"],
  summary: "Create a share of a task, for reading or rating",
  request: { params: taskParams, body: jsonBody(shareIn) },
  responses: { 201: jsonResponse(newShareOut, "The share, with its token") },
  once: true,
  problems: ["conflict"],
});

const getShares = defineRoute({
  method: "get",
  path: "/tasks/{id}/shares",
  access: "owner",
  tags: ["shares"],
  summary: "List the shares of a task, including ended ones",
  request: { params: taskParams, query: pageQuery },
  responses: { 200: jsonResponse(pageOf(shareOut).openapi("Shares"), "Newest first") },
});

const deleteShare = defineRoute({
  method: "delete",
  path: "/tasks/{id}/shares/{share}",
  access: "owner",
  tags: ["shares"],
  summary: "Revoke a share. Its token stops working immediately",
  request: { params: shareParams },
  responses: { 204: { description: "Revoked, now or before" } },
});

const readMine = defineRoute({
  method: "get",
  path: "/shares/me",
  access: "share",
  tags: ["shares"],
  summary: "Get the share of this request and its task",
  responses: {
    200: jsonResponse(
      z.object({
        id: z.uuid(),
        label: z.string(),
        mode: z.enum(["read", "rate"]),
        blind: z.boolean(),
        expires_at: time,
        task: z.object({ id: z.uuid(), name: z.string() }),
      }).openapi("ShareAbout"),
      "The share",
    ),
  },
});

const toShare = ({ created_at, expires_at, revoked_at, ...row }: ShareRow): z.infer<typeof shareOut> => ({
  ...row,
  created_at: created_at.toISOString(),
  expires_at: expires_at.toISOString(),
  revoked_at: revoked_at?.toISOString() ?? null,
});

/**
 * Creates the token of a share. With an Idempotency-Key the token is derived from the server's secret, the
 * key and the share, so that a repeated request returns the same token although the stored response contains
 * none. Without a key it is random.
 */
async function createShareToken(c: Context<V2Env>, shareId: string): Promise<string> {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return createToken(shareTokenPrefix);
  const secret = new TextEncoder().encode(c.var.deps.config.SECRET_KEY);
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const signing = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"]);
  const text = JSON.stringify(["share", c.var.principal.id, shareId, key]);
  const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", signing, new TextEncoder().encode(text)));
  return shareTokenPrefix + bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

async function createShare(c: Context<V2Env>, taskId: string, input: z.infer<typeof shareIn>) {
  requireMayChange(await getReadableTask(c, taskId));
  let created: { id: string; token: string } | undefined;
  const response = await respondOnce(c, async (sql) => {
    const actor = actorOf(c);
    const task = await findChangeableTask(sql, { id: taskId, actor }, { lock: "no_key_update" });
    if (task === "not_found") throw taskNotFound(taskId);
    if (task === "forbidden") throw notTaskOwner(taskId, "sharing");
    const id = crypto.randomUUID();
    created = { id, token: await createShareToken(c, id) };
    const { label, mode, blind, expires_in: lifeSeconds } = input;
    const share = { id, taskId, label, mode, blind, lifeSeconds, createdBy: actor.id };
    const row = await insertShare(sql, { ...share, tokenHash: await hashToken(created.token) }, sharesMax);
    if (!row) {
      throw new AppError("conflict", `sharing task '${taskId}': it has ${sharesMax} shares; end one first`);
    }
    return {
      status: 201,
      headers: { location: `${basePath}/tasks/${taskId}/shares/${id}` },
      body: toShare(row),
    };
  });
  return await extendBody(response, async ({ id }) => ({
    token: created?.id === id ? created.token : await createShareToken(c, id),
  }));
}

export function addShares(app: V2App): void {
  app.openapi(
    postShare,
    async (c) => await createShare(c, c.req.valid("param").id, c.req.valid("json")),
  );
  app.openapi(getShares, async (c) => {
    const { id } = c.req.valid("param");
    const { limit, cursor } = c.req.valid("query");
    requireMayChange(await getReadableTask(c, id));
    const before = decodeCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()]));
    const rows = await listShares(c.var.deps.sql, { taskId: id, before, limit: limit + 1 });
    const toCursor = (row: ShareRow) => [row.created_at.toISOString(), row.id];
    return await respondTagged(c, toPage(rows, limit, toShare, toCursor));
  });
  app.openapi(deleteShare, async (c) => {
    const { id, share } = c.req.valid("param");
    requireMayChange(await getReadableTask(c, id));
    const ended = isUuid(share) &&
      await revokeShare(c.var.deps.sql, { taskId: id, shareId: share, actor: actorOf(c) });
    if (!ended) throw new AppError("not_found", `no share '${share.slice(0, 100)}' of this task`);
    return c.body(null, 204);
  });
  app.openapi(readMine, async (c) => {
    const about = await findShareAbout(c.var.deps.sql, c.var.principal.id);
    if (!about) throw new AppError("unauthenticated", "signing in: the link has expired or was revoked");
    const { task_id: id, task_name: name, expires_at, ...share } = about;
    return await respondTagged(c, {
      ...share,
      expires_at: expires_at.toISOString(),
      task: { id, name },
    });
  });
}
