/** Signing in to v2: short access tokens, refresh tokens that are renewed with each use. */
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
import { withRoom } from "../kit/admit.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { givenPassword, tryPassword } from "./password.ts";
import { makeRefreshToken, readRefreshToken } from "./refresh.ts";
import { defineRoute, jsonAnswer, jsonBody } from "../kit/route.ts";
import { hashToken } from "../kit/secrets.ts";

/** Days that a session lives, however often it is renewed. */
const sessionDays = 30;

export const tokensOut = z.object({
  access_token: z.string(),
  token_type: z.literal("bearer"),
  expires_in: z.int().openapi({ description: "Seconds that the access token is good" }),
  refresh_token: z.string().openapi({ description: "Good for one renewal" }),
  session_id: z.uuid(),
}).openapi("Tokens");

const login = defineRoute({
  method: "post",
  path: "/auth/login",
  who: "anyone",
  tags: ["auth"],
  summary: "Sign in",
  request: {
    body: jsonBody(z.strictObject({ email: z.string().min(1).max(320), password: givenPassword })),
  },
  responses: { 200: jsonAnswer(tokensOut, "Signed in") },
  problems: ["unauthenticated"],
});

const refresh = defineRoute({
  method: "post",
  path: "/auth/refresh",
  who: "anyone",
  tags: ["auth"],
  summary: "Trade a refresh token for new tokens",
  description:
    "Each refresh token is good once. Shown again within 10 s it brings the same next one, for two tabs " +
    "that renew at once and for an answer that was lost; later, it ends the session: somebody has a copy.",
  request: { body: jsonBody(z.strictObject({ refresh_token: z.string().min(1).max(500) })) },
  responses: { 200: jsonAnswer(tokensOut, "The session goes on") },
  problems: ["unauthenticated"],
});

async function toTokens(
  c: Context<V2Env>,
  { id, version, userId, refreshToken }: OpenSession & { userId: string; refreshToken: string },
) {
  const { access } = c.var.deps;
  c.header("cache-control", "no-store");
  return {
    access_token: await access.sign({ userId, sessionId: id, version }),
    token_type: "bearer" as const,
    expires_in: access.lifeSeconds,
    refresh_token: refreshToken,
    session_id: id,
  };
}

/**
 * A new session of whoever has shown the password with this hash.
 *
 * @returns undefined where the user has another by now, is disabled or gone
 */
export async function openSession(
  c: Context<V2Env>,
  { id: userId, hashed_password: passwordHash }: Pick<Credentials, "id" | "hashed_password">,
) {
  const { sql, config } = c.var.deps;
  const id = crypto.randomUUID();
  const { text: refreshToken, hash: tokenHash } = await makeRefreshToken(config.SECRET_KEY, {
    sessionId: id,
    turn: 0,
  });
  const client = (c.req.header("user-agent") ?? "").slice(0, 200);
  const session = { id, userId, tokenHash, passwordHash, client, lifeSeconds: sessionDays * 86_400 };
  const opened = await withRoom(c, () => insertSessionOf(sql, session));
  return opened && await toTokens(c, { ...opened, userId, refreshToken });
}

async function signIn(c: Context<V2Env>, email: string, password: string) {
  const { sql, throttle } = c.var.deps;
  let found: Credentials | undefined;
  const isSame = await tryPassword(c, email, password, async () => {
    found = await withRoom(c, () => findPassword(sql, email));
    return found?.hashed_password;
  });
  const tokens = isSame && found?.is_active ? await openSession(c, found) : undefined;
  if (!tokens) throw new AppError("unauthenticated", "signing in: e-mail or password is wrong");
  await throttle.succeeded(c.env.address, email);
  return tokens;
}

/** The next tokens of a session. @throws AppError unauthenticated */
async function renew(c: Context<V2Env>, text: string) {
  const { sql, log, config: { SECRET_KEY: secret } } = c.var.deps;
  const token = await readRefreshToken(secret, text);
  const refused = new AppError("unauthenticated", "renewing: the refresh token is not good, or no longer");
  if (!token) throw refused;
  const { sessionId: id, turn } = token;
  const next = await makeRefreshToken(secret, { sessionId: id, turn: turn + 1 });
  const renewal = { id, shown: await hashToken(text), next: next.hash };
  const renewed = await withRoom(c, async () => {
    const found = await renewSession(sql, renewal) ?? await findJustRenewed(sql, renewal);
    if (found) return found;
    const userId = await endReusedSession(sql, id, renewal.shown);
    if (userId === undefined) return undefined;
    const facts = { request_id: c.var.requestId, user_id: userId, session_id: id };
    log.warn("a refresh token was used again: its session has ended", facts);
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
