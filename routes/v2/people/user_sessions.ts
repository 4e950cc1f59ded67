/** Routes for the sessions of any user, for admins: list them and end them. */
import { z } from "@hono/zod-openapi";
import { findAccount, signOutEverywhere } from "../../../db/people/accounts.ts";
import { listSessions, type SessionRow } from "../../../db/people/sessions.ts";
import { isUuid } from "../../../uuid.ts";
import type { V2App, V2Deps } from "../kit/context.ts";
import { decodeCursor, pageQuery, toPage } from "../kit/pages.ts";
import { defineRoute, jsonResponse } from "../kit/route.ts";
import { sessionsOut, toSession, userOf } from "./sessions.ts";
import { userNotFound, userParams } from "./users.ts";

const readSessions = defineRoute({
  method: "get",
  path: "/users/{id}/sessions",
  access: "admin",
  tags: ["users"],
  summary: "List the open sessions of a user",
  request: { params: userParams, query: pageQuery },
  responses: { 200: jsonResponse(sessionsOut, "Newest first") },
});

const deleteSessions = defineRoute({
  method: "delete",
  path: "/users/{id}/sessions",
  access: "admin",
  tags: ["users"],
  summary: "End all sessions of a user. Their tokens stop working immediately",
  request: { params: userParams },
  responses: { 204: { description: "Ended" } },
});

/** @throws AppError not_found */
async function requireUser({ sql }: V2Deps, id: string): Promise<void> {
  if (!isUuid(id) || !await findAccount(sql, id)) throw userNotFound(id);
}

export function addUserSessions(app: V2App): void {
  app.openapi(readSessions, async (c) => {
    const { id } = c.req.valid("param");
    const { limit, cursor } = c.req.valid("query");
    const before = decodeCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()]));
    await requireUser(c.var.deps, id);
    const rows = await listSessions(c.var.deps.sql, { userId: id, before, limit: limit + 1 });
    const { sessionId } = userOf(c);
    const toCursor = (row: SessionRow) => [row.created_at.toISOString(), row.id];
    return c.json(toPage(rows, limit, (row) => toSession(row, sessionId), toCursor), 200);
  });
  app.openapi(deleteSessions, async (c) => {
    const { id } = c.req.valid("param");
    await requireUser(c.var.deps, id);
    await signOutEverywhere(c.var.deps.sql, id);
    return c.body(null, 204);
  });
}
