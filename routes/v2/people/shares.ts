/** Links to one task for people without an account: to look, or to rate. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  findShareAbout,
  insertShare,
  listShares,
  lockOwnTask,
  revokeShare,
  type ShareRow,
} from "../../../db/people/shares.ts";
import { AppError } from "../../../errors.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { answerOnce, completeAnswer } from "../kit/once.ts";
import { cutPage, pageOf, pageQuery, readCursor } from "../kit/pages.ts";
import { defineRoute, jsonAnswer, jsonBody, taskParams, time } from "../kit/route.ts";
import { drawToken, hashToken, shareTokenPrefix } from "../kit/secrets.ts";
import { answerTagged } from "../kit/tag.ts";
import { actorOf } from "../kit/principal.ts";
import { getTaskOf, noTask, requireChange } from "../tasks/tasks_of.ts";
import { isUuid } from "../../../uuid.ts";

const daySeconds = 86_400;
/** Shares of a task that are good at once. */
const sharesMax = 100;

const shareIn = z.strictObject({
  label: z.string().max(200).regex(/^[^\0]*$/, "no character of code 0").default("")
    .openapi({ description: "Whom it is for" }),
  mode: z.enum(["read", "rate"]),
  blind: z.boolean().default(false)
    .openapi({ description: "Others' ratings of an image are hidden until it was rated" }),
  expires_in: z.int().min(60).max(90 * daySeconds).default(7 * daySeconds)
    .openapi({ description: "Seconds; at most 90 days" }),
}).openapi("ShareIn");

const shareFields = {
  id: z.uuid(),
  label: z.string(),
  mode: z.enum(["read", "rate"]),
  blind: z.boolean(),
  created_by: z.string().nullable().openapi({ description: "E-mail; null for who has gone" }),
  created_at: time,
  expires_at: time,
  revoked_at: time.nullable(),
};
const shareOut = z.object(shareFields).openapi("Share");
const newShareOut = z.object({
  ...shareFields,
  token: z.string().openapi({
    description: "For `Authorization: Bearer`; told this once, only its hash is kept",
  }),
}).openapi("NewShare");

const shareParams = taskParams.extend({
  share: z.string().openapi({ param: { name: "share", in: "path" }, format: "uuid" }),
});

const postShare = defineRoute({
  method: "post",
  path: "/tasks/{id}/shares",
  who: "owner",
  tags: ["shares"],
  summary: "Make a link to a task, to look or to rate",
  request: { params: taskParams, body: jsonBody(shareIn) },
  responses: { 201: jsonAnswer(newShareOut, "The share, with its token") },
  problems: ["conflict"],
});

const getShares = defineRoute({
  method: "get",
  path: "/tasks/{id}/shares",
  who: "owner",
  tags: ["shares"],
  summary: "The shares of a task, those that have ended too",
  request: { params: taskParams, query: pageQuery },
  responses: { 200: jsonAnswer(pageOf(shareOut).openapi("Shares"), "Newest first") },
});

const deleteShare = defineRoute({
  method: "delete",
  path: "/tasks/{id}/shares/{share}",
  who: "owner",
  tags: ["shares"],
  summary: "End a share: from now on its token is no good",
  request: { params: shareParams },
  responses: { 204: { description: "It has ended; the same where it had before" } },
});

const readMine = defineRoute({
  method: "get",
  path: "/shares/me",
  who: "share",
  tags: ["shares"],
  summary: "What the share that asks is for",
  responses: {
    200: jsonAnswer(
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
 * The token of a share that is made under an Idempotency-Key: made again from our key, theirs and the share when the
 * request is repeated, so that the stored answer holds none. Without a key it is drawn.
 */
async function makeToken(c: Context<V2Env>, shareId: string): Promise<string> {
  const key = c.req.header("idempotency-key");
  if (key === undefined) return drawToken(shareTokenPrefix);
  const secret = new TextEncoder().encode(c.var.deps.config.SECRET_KEY);
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const signing = await crypto.subtle.importKey("raw", secret, hmac, false, ["sign"]);
  const text = JSON.stringify(["share", c.var.principal.id, shareId, key]);
  const bytes = new Uint8Array(await crypto.subtle.sign("HMAC", signing, new TextEncoder().encode(text)));
  return shareTokenPrefix + bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

async function makeShare(c: Context<V2Env>, taskId: string, wish: z.infer<typeof shareIn>) {
  requireChange(await getTaskOf(c, taskId));
  let drawn: { id: string; token: string } | undefined;
  const response = await answerOnce(c, async (sql) => {
    const actor = actorOf(c);
    const owned = await lockOwnTask(sql, taskId, actor);
    if (owned === undefined) throw noTask(taskId);
    if (!owned) throw new AppError("forbidden", `sharing task '${taskId}': it is somebody else's`);
    const id = crypto.randomUUID();
    drawn = { id, token: await makeToken(c, id) };
    const { label, mode, blind, expires_in: lifeSeconds } = wish;
    const share = { id, taskId, label, mode, blind, lifeSeconds, createdBy: actor.id };
    const row = await insertShare(sql, { ...share, tokenHash: await hashToken(drawn.token) }, sharesMax);
    if (!row) {
      throw new AppError("conflict", `sharing task '${taskId}': it has ${sharesMax} shares; end one first`);
    }
    return {
      status: 201,
      headers: { location: `/api/v2/tasks/${taskId}/shares/${id}` },
      body: toShare(row),
    };
  });
  return await completeAnswer(response, async ({ id }) => ({
    token: drawn?.id === id ? drawn.token : await makeToken(c, id),
  }));
}

export function addShares(app: V2App): void {
  app.openapi(
    postShare,
    async (c) => await makeShare(c, c.req.valid("param").id, c.req.valid("json")) as never,
  );
  app.openapi(getShares, async (c) => {
    const { id } = c.req.valid("param");
    const { limit, cursor } = c.req.valid("query");
    requireChange(await getTaskOf(c, id));
    const before = readCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()]));
    const rows = await listShares(c.var.deps.sql, { taskId: id, before, limit: limit + 1 });
    const toCursor = (row: ShareRow) => [row.created_at.toISOString(), row.id];
    return await answerTagged(c, cutPage(rows, limit, toShare, toCursor)) as never;
  });
  app.openapi(deleteShare, async (c) => {
    const { id, share } = c.req.valid("param");
    requireChange(await getTaskOf(c, id));
    const ended = isUuid(share) &&
      await revokeShare(c.var.deps.sql, { taskId: id, shareId: share, actor: actorOf(c) });
    if (!ended) throw new AppError("not_found", `no share '${share.slice(0, 100)}' of this task`);
    return c.body(null, 204);
  });
  app.openapi(readMine, async (c) => {
    const about = await findShareAbout(c.var.deps.sql, c.var.principal.id);
    if (!about) throw new AppError("unauthenticated", "signing in: the link has expired or was revoked");
    const { task_id: id, task_name: name, expires_at, ...share } = about;
    return await answerTagged(c, {
      ...share,
      expires_at: expires_at.toISOString(),
      task: { id, name },
    }) as never;
  });
}
