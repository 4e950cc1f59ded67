/** Sign-in for v2: short-lived access tokens, and refresh tokens that are replaced with each use. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  endReusedSession,
  findJustRenewed,
  insertSessionOf,
  type OpenSession,
  renewSession,
} from "../../../db/people/sessions.ts";
import { type Credentials, findPassword } from "../../../db/people/users.ts";
import { AppError } from "../../../errors.ts";
import { withGate } from "../kit/authorize.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { currentPassword, verifyPassword } from "./password.ts";
import { createRefreshToken, verifyRefreshToken } from "./refresh.ts";
import { defineRoute, jsonBody, jsonResponse } from "../kit/route.ts";
import { hashToken } from "../kit/secrets.ts";
import { textSchema } from "../kit/texts.ts";

/** Lifetime of a session in days, regardless of renewals. */
export const sessionDays = 30;

export const tokensOut = z.object({
  access_token: z.string(),
  token_type: z.literal("bearer"),
  expires_in: z.int().openapi({ description: "Remaining lifetime of the access token in seconds" }),
  refresh_token: z.string().openapi({ description: "Valid for one renewal" }),
  session_id: z.uuid(),
}).openapi("Tokens");

const login = defineRoute({
  method: "post",
  path: "/auth/login",
  access: "anyone",
  tags: ["auth"],
  summary: "Sign in",
  request: {
    body: jsonBody(z.strictObject({ email: textSchema(320), password: currentPassword })),
  },
  responses: { 200: jsonResponse(tokensOut, "Signed in") },
  problems: ["unauthenticated"],
});

const refresh = defineRoute({
  method: "post",
  path: "/auth/refresh",
  access: "anyone",
  tags: ["auth"],
  summary: "Exchange a refresh token for new tokens",
  description:
    "Each refresh token is valid once. If it is presented again within 10 s, the response contains the same " +
    "next token: two tabs may renew at the same time, and a response may be lost. If it is presented later, " +
    "the session ends, because a copy of the token exists.",
  request: { body: jsonBody(z.strictObject({ refresh_token: textSchema(500) })) },
  responses: { 200: jsonResponse(tokensOut, "The new tokens") },
  problems: ["unauthenticated"],
});

/** Signs an access token and returns the response. */
async function toTokens(
  c: Context<V2Env>,
  { id, version, userId, refreshToken }: OpenSession & { userId: string; refreshToken: string },
) {
  const { accessTokens } = c.var.deps;
  c.header("cache-control", "no-store");
  return {
    access_token: await accessTokens.sign({ userId, sessionId: id, version }),
    token_type: "bearer" as const,
    expires_in: accessTokens.lifeSeconds,
    refresh_token: refreshToken,
    session_id: id,
  };
}

/**
 * Starts a session for the user whose password has this hash.
 *
 * @returns undefined if the password has changed since, or if the user is disabled or deleted
 */
export async function openSession(
  c: Context<V2Env>,
  { id: userId, hashed_password: passwordHash }: Pick<Credentials, "id" | "hashed_password">,
) {
  const { sql, secrets } = c.var.deps;
  const id = crypto.randomUUID();
  const { text: refreshToken, hash: tokenHash } = await createRefreshToken(secrets, {
    sessionId: id,
    renewals: 0,
  });
  const client = (c.req.header("user-agent") ?? "").slice(0, 200);
  const session = { id, userId, tokenHash, passwordHash, client, lifeSeconds: sessionDays * 86_400 };
  const opened = await withGate(c, () => insertSessionOf(sql, session));
  return opened && await toTokens(c, { ...opened, userId, refreshToken });
}

/** Starts a session for an e-mail address and a password. @throws AppError unauthenticated */
export async function signIn(c: Context<V2Env>, email: string, password: string) {
  const { sql, throttle } = c.var.deps;
  let found: Credentials | undefined;
  const isSame = await verifyPassword(c, email, password, async () => {
    found = await withGate(c, () => findPassword(sql, email));
    return found?.hashed_password;
  });
  const tokens = isSame && found?.is_active ? await openSession(c, found) : undefined;
  if (!tokens) throw new AppError("unauthenticated", "signing in: e-mail or password is wrong");
  await throttle.recordSuccess(c.env.address, email);
  return tokens;
}

/** Returns the next tokens of a session. @throws AppError unauthenticated */
export async function renew(c: Context<V2Env>, text: string) {
  const { sql, log, secrets } = c.var.deps;
  const token = await verifyRefreshToken(secrets, text);
  const refused = new AppError("unauthenticated", "renewing: the refresh token is not good, or no longer");
  if (!token) throw refused;
  const { sessionId: id, renewals } = token;
  const next = await createRefreshToken(secrets, { sessionId: id, renewals: renewals + 1 });
  const renewal = { id, presented: await hashToken(text), next: next.hash };
  const renewed = await withGate(c, async () => {
    const found = await renewSession(sql, renewal) ?? await findJustRenewed(sql, renewal);
    if (found) return found;
    const userId = await endReusedSession(sql, id, renewal.presented);
    if (userId === undefined) return undefined;
    const fields = { request_id: c.var.requestId, user_id: userId, session_id: id };
    log.warn("session ended because a refresh token was used again", fields);
  });
  if (!renewed) throw refused;
  const { user_id: userId, version } = renewed;
  return await toTokens(c, { id, version, userId, refreshToken: next.text });
}

export function addAuth(app: V2App): void {
  app.openapi(login, async (c) => {
    const { email, password } = c.req.valid("json");
    return c.json(await signIn(c, email, password), 200);
  });
  app.openapi(refresh, async (c) => c.json(await renew(c, c.req.valid("json").refresh_token), 200));
}
