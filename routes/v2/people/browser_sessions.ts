/**
 * Sessions of the console: the refresh token stays in a cookie that scripts cannot read and that only these routes
 * receive. Access tokens are sent as everywhere.
 */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { deleteCookie, getCookie, setCookie } from "hono/cookie";
import { endSession } from "../../../db/people/sessions.ts";
import { AppError } from "../../../errors.ts";
import { withGate } from "../kit/authorize.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { invalidField } from "../kit/faults.ts";
import { basePath, defineRoute, jsonBody, jsonResponse } from "../kit/route.ts";
import { textSchema } from "../kit/texts.ts";
import { renew, sessionDays, signIn, tokensOut } from "./auth.ts";
import { currentPassword } from "./password.ts";
import { verifyRefreshToken } from "./refresh.ts";

const folder = "/auth/browser";
const cookieName = "contactsheet_session";
const cookiePath = basePath + folder;

/** A header that pages of other origins cannot send without a preflight request, which lets no cookie through. */
const consoleHeader = {
  name: "X-Console",
  in: "header" as const,
  required: true,
  description:
    "Shows that a script of the same origin sends the request, and no form or link of another site",
  schema: { type: "string" as const, enum: ["1"] },
};

const tokenOut = tokensOut.omit({ refresh_token: true }).openapi("BrowserToken");

const description =
  "The refresh token is set as a cookie: HttpOnly, SameSite=Strict, only for `/auth/browser`, " +
  "and Secure with the prefix `__Secure-` if the page came over https.";

const login = defineRoute({
  method: "post",
  path: `${folder}/login`,
  access: "anyone",
  tags: ["auth"],
  summary: "Sign in a browser",
  description,
  parameters: [consoleHeader],
  request: { body: jsonBody(z.strictObject({ email: textSchema(320), password: currentPassword })) },
  responses: { 200: jsonResponse(tokenOut, "Signed in") },
  problems: ["unauthenticated", "forbidden"],
});

const refresh = defineRoute({
  method: "post",
  path: `${folder}/refresh`,
  access: "anyone",
  tags: ["auth"],
  summary: "Get a new access token for the session of the cookie",
  description: `${description} Repeating it within 10 s is safe, as with POST /auth/refresh.`,
  parameters: [consoleHeader],
  responses: { 200: jsonResponse(tokenOut, "The new access token") },
  problems: ["unauthenticated", "forbidden"],
});

const logout = defineRoute({
  method: "post",
  path: `${folder}/logout`,
  access: "anyone",
  tags: ["auth"],
  summary: "End the session of the cookie, if there is one, and remove the cookie",
  parameters: [consoleHeader],
  responses: { 204: { description: "Ended" } },
  problems: ["forbidden"],
});

/**
 * Requires that a script of the page's own origin sent the request.
 *
 * @throws AppError forbidden for a page of another origin; invalid_request without the header
 */
function checkSameOrigin(c: Context<V2Env>): void {
  const site = c.req.header("sec-fetch-site") ?? "same-origin";
  if (site !== "same-origin") {
    throw new AppError(
      "forbidden",
      `using the cookie of a session: the request is '${site}', wanted one of a page of this origin`,
    );
  }
  const header = c.req.header("x-console");
  if (header !== "1") throw invalidField("header.X-Console", header, "1");
}

/** Reports whether the page came over https. A browser names the page's origin in every POST. */
const isSecure = (c: Context<V2Env>): boolean =>
  // A proxy may have ended https before this process.
  c.req.header("origin")?.startsWith("https://") ?? false;

/** A browser sets a cookie with this prefix over https only. Plain http is for a laptop. */
const prefixOf = (c: Context<V2Env>) => isSecure(c) ? { prefix: "secure" as const } : {};

const readCookie = (c: Context<V2Env>): string => getCookie(c, cookieName, prefixOf(c).prefix) ?? "";

/** Sets the cookie, and returns the tokens without the refresh token. */
function moveToCookie<T extends { refresh_token: string }>(c: Context<V2Env>, tokens: T) {
  const { refresh_token, ...rest } = tokens;
  const maxAge = sessionDays * 86_400;
  const attributes = { httpOnly: true, sameSite: "Strict", path: cookiePath, maxAge } as const;
  setCookie(c, cookieName, refresh_token, { ...attributes, ...prefixOf(c) });
  return rest;
}

/** Ends the session of the request's cookie. An unknown or ended session is no error. */
async function endCookieSession(c: Context<V2Env>): Promise<void> {
  const { sql, secrets } = c.var.deps;
  const token = await verifyRefreshToken(secrets, readCookie(c));
  if (token) await withGate(c, () => endSession(sql, { id: token.sessionId }));
}

export function addBrowserSessions(app: V2App): void {
  app.openapi(login, async (c) => {
    checkSameOrigin(c);
    const { email, password } = c.req.valid("json");
    const tokens = await signIn(c, email, password);
    // The new session replaces the browser's present one.
    await endCookieSession(c);
    return c.json(moveToCookie(c, tokens), 200);
  });
  app.openapi(refresh, async (c) => {
    checkSameOrigin(c);
    return c.json(moveToCookie(c, await renew(c, readCookie(c))), 200);
  });
  app.openapi(logout, async (c) => {
    checkSameOrigin(c);
    await endCookieSession(c);
    deleteCookie(c, cookieName, { path: cookiePath, ...prefixOf(c) });
    return c.body(null, 204);
  });
}
