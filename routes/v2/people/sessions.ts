/** Routes for the sessions of the signed-in user: list them and end them. */
import { isUuid } from "../../../uuid.ts";
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { signOutEverywhere } from "../../../db/people/accounts.ts";
import { endSession, listSessions, type SessionRow } from "../../../db/people/sessions.ts";
import { AppError } from "../../../errors.ts";
import type { UserPrincipal, V2App, V2Env } from "../kit/context.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../kit/pages.ts";
import { defineRoute, jsonResponse, time } from "../kit/route.ts";
import { respondTagged } from "../kit/etag.ts";

const ended = { 204: { description: "Ended" } };

const logout = defineRoute({
  method: "post",
  path: "/auth/logout",
  access: "signed_in",
  tags: ["auth"],
  summary: "End this session. Its tokens stop working immediately",
  responses: ended,
});

const logoutEverywhere = defineRoute({
  method: "post",
  path: "/auth/logout-everywhere",
  access: "signed_in",
  tags: ["auth"],
  summary: "End all sessions of the signed-in user, including this one",
  responses: ended,
});

/** A page of sessions. */
export const sessionsOut = pageOf(z.object({
  id: z.uuid(),
  client: z.string().openapi({ description: "User-Agent of the client" }),
  current: z.boolean().openapi({ description: "Whether it is the session of this request" }),
  created_at: time,
  renewed_at: time,
  expires_at: time,
})).openapi("Sessions");

const readSessions = defineRoute({
  method: "get",
  path: "/auth/sessions",
  access: "signed_in",
  tags: ["auth"],
  summary: "List the open sessions of the signed-in user",
  request: { query: pageQuery },
  responses: { 200: jsonResponse(sessionsOut, "Newest first") },
});

const deleteSession = defineRoute({
  method: "delete",
  path: "/auth/sessions/{id}",
  access: "signed_in",
  tags: ["auth"],
  summary: "End one of the signed-in user's sessions",
  request: {
    params: z.object({ id: z.string().openapi({ param: { name: "id", in: "path" }, format: "uuid" }) }),
  },
  responses: ended,
});

/** Returns the signed-in user, on a route that no share may use. */
export const userOf = (c: Context<V2Env>): UserPrincipal => c.var.principal as UserPrincipal;

/** Returns a session for a response to the session `currentId`. */
export const toSession = ({ id, client, ...row }: SessionRow, currentId: string) => ({
  id,
  client,
  current: id === currentId,
  created_at: row.created_at.toISOString(),
  renewed_at: row.rotated_at.toISOString(),
  expires_at: row.expires_at.toISOString(),
});

export function addSessions(app: V2App): void {
  app.openapi(logout, async (c) => {
    const { id: userId, sessionId: id } = userOf(c);
    await endSession(c.var.deps.sql, { userId, id });
    return c.body(null, 204);
  });
  app.openapi(logoutEverywhere, async (c) => {
    await signOutEverywhere(c.var.deps.sql, userOf(c).id);
    return c.body(null, 204);
  });
  app.openapi(readSessions, async (c) => {
    const { id: userId, sessionId } = userOf(c);
    const { limit, cursor } = c.req.valid("query");
    const before = decodeCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()]));
    const rows = await listSessions(c.var.deps.sql, { userId, before, limit: limit + 1 });
    const toCursor = (row: SessionRow) => [row.created_at.toISOString(), row.id];
    return await respondTagged(c, toPage(rows, limit, (row) => toSession(row, sessionId), toCursor));
  });
  app.openapi(deleteSession, async (c) => {
    const { id } = c.req.valid("param");
    const found = isUuid(id) && await endSession(c.var.deps.sql, { userId: userOf(c).id, id });
    if (!found) throw new AppError("not_found", `no open session '${id.slice(0, 100)}' of yours`);
    return c.body(null, 204);
  });
}
