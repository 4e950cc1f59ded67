/** Signing in to v2: short access tokens, refresh tokens that are renewed with each use. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { insertSession } from "../../db/sessions.ts";
import { findPassword, findUserByEmail, roles } from "../../db/users.ts";
import { AppError } from "../../errors.ts";
import type { V2App, V2Env } from "./context.ts";
import { HttpFailure } from "./problem.ts";
import { defineRoute, jsonAnswer, jsonBody } from "./route.ts";
import { drawToken, hashToken, refreshTokenPrefix } from "./secrets.ts";

/** Days that a session lives. */
const sessionDays = 30;

const tokens = z.object({
  access_token: z.string(),
  token_type: z.literal("bearer"),
  expires_in: z.int().openapi({ description: "Seconds that the access token is good" }),
  refresh_token: z.string(),
  session_id: z.uuid(),
}).openapi("Tokens");

const login = defineRoute({
  method: "post",
  path: "/auth/login",
  who: "anyone",
  tags: ["auth"],
  summary: "Sign in",
  request: {
    body: jsonBody(
      z.strictObject({ email: z.string().min(1).max(320), password: z.string().min(1).max(1024) }),
    ),
  },
  responses: { 200: jsonAnswer(tokens, "Signed in") },
  problems: ["unauthenticated"],
});

const me = defineRoute({
  method: "get",
  path: "/users/me",
  who: "signed_in",
  tags: ["users"],
  summary: "Who is signed in",
  responses: {
    200: jsonAnswer(
      z.object({
        id: z.uuid(),
        email: z.string(),
        fullname: z.string().nullable(),
        roles: z.array(z.enum(roles)),
      })
        .openapi("Me"),
      "The user of the token",
    ),
  },
});

/** One try of a sign-in: throttled as v1's, equal time whatever is wrong. */
async function checkPassword(c: Context<V2Env>, email: string, password: string): Promise<string> {
  const { sql, throttle, passwords } = c.var.deps;
  const seconds = await throttle.take(c.env.address, email);
  if (seconds > 0) {
    throw new HttpFailure("too_many_requests", `signing in: too many tries, wait ${seconds} s`, {
      "retry-after": String(seconds),
    });
  }
  const found = await findPassword(sql, email);
  const compared = await passwords.matches(password, found?.hashed_password);
  if (compared === "malformed") {
    c.var.deps.log.warn("a stored password hash is malformed", { request_id: c.var.requestId });
  }
  const user = compared === "same" && !password.includes("\0")
    ? await findUserByEmail(sql, email)
    : undefined;
  if (!user?.is_active) throw new AppError("unauthenticated", "signing in: e-mail or password is wrong");
  await throttle.succeeded(c.env.address, email);
  return user.id;
}

/** A session's first or next pair of tokens. */
async function openSession(c: Context<V2Env>, userId: string) {
  const { sql, access } = c.var.deps;
  const refresh = drawToken(refreshTokenPrefix);
  const { id, version } = await insertSession(sql, {
    userId,
    tokenHash: await hashToken(refresh),
    lifeSeconds: sessionDays * 86_400,
    client: (c.req.header("user-agent") ?? "").slice(0, 200),
  });
  return {
    access_token: await access.sign({ userId, sessionId: id, version }),
    token_type: "bearer" as const,
    expires_in: access.lifeSeconds,
    refresh_token: refresh,
    session_id: id,
  };
}

export function addAuth(app: V2App): void {
  app.openapi(login, async (c) => {
    const { email, password } = c.req.valid("json");
    const userId = await checkPassword(c, email, password);
    c.header("cache-control", "no-store");
    return c.json(await openSession(c, userId), 200);
  });
  app.openapi(me, (c) => {
    const { principal } = c.var;
    if (principal.kind !== "user") throw new AppError("forbidden", "a link has no user");
    const { id, email, fullname, roles } = principal;
    return c.json({ id, email, fullname, roles }, 200);
  });
}
