/** Authentication, rate limit and authorization of each request, and its access to the database. */
import type { Context, MiddlewareHandler } from "hono";
import { findPrincipalUser } from "../../../db/people/sessions.ts";
import { findShare } from "../../../db/people/shares.ts";
import { AppError } from "../../../errors.ts";
import { firstAuthorization } from "../../common/headers.ts";
import type { Access, Principal, V2Env } from "./context.ts";
import { limitRate } from "./rate_limit.ts";
import { hashToken, shareTokenPrefix } from "./secrets.ts";

const unauthenticated = (reason: string) => new AppError("unauthenticated", `signing in: ${reason}`);

function readToken(c: Context<V2Env>): string {
  const header = firstAuthorization(c.req.raw.headers) ?? "";
  const [, token] = /^bearer +(\S+)$/i.exec(header) ?? [];
  if (token === undefined) throw unauthenticated("no bearer token in Authorization");
  return token;
}

async function getPrincipal(c: Context<V2Env>): Promise<Principal> {
  const { sql, accessTokens } = c.var.deps;
  const token = readToken(c);
  if (token.startsWith(shareTokenPrefix)) {
    const share = await findShare(sql, await hashToken(token));
    if (!share) throw unauthenticated("the link has expired or was revoked");
    return { kind: "share", ...share };
  }
  const verified = await accessTokens.verify(token);
  if (!verified) throw unauthenticated("the token is not valid, or has expired");
  const user = await findPrincipalUser(sql, verified);
  if (!user) throw unauthenticated("the session has ended");
  const { sessionId, version: tokenVersion, expiresAtMs: tokenExpiresAtMs } = verified;
  return { kind: "user", ...user, sessionId, tokenVersion, tokenExpiresAtMs };
}

const isGuest = ({ roles }: { roles: string[] }) =>
  !roles.some((role) => role === "admin" || role === "manager" || role === "user");

/** Returns why the route does not permit a share, or undefined. */
function findShareRefusal(
  access: Access,
  share: Principal & { kind: "share" },
  taskId: string | undefined,
): string | undefined {
  if (access === "share") return undefined;
  if (access !== "reader" && access !== "rater" || taskId !== share.taskId) {
    return "the link is for one task, and not for this";
  }
  if (access === "rater" && share.mode !== "rate") return "the link is for looking, not for rating";
}

/** Returns why the route does not permit the principal, or undefined. */
function findRefusal(access: Access, principal: Principal, taskId: string | undefined): string | undefined {
  if (principal.kind === "share") return findShareRefusal(access, principal, taskId);
  if (access === "share") return "this is for links to a task";
  const { roles } = principal;
  if (access === "admin" && !roles.includes("admin")) return "this is for admins";
  if (access === "staff" && !roles.includes("admin") && !roles.includes("manager")) {
    return "this is for admins and managers";
  }
  if (access !== "signed_in" && access !== "reader" && isGuest(principal)) {
    return "guests may look, and no more";
  }
}

/** Returns the principal. Failures count against the limit of the address, which slows down guessing of tokens. */
async function authenticate(c: Context<V2Env>): Promise<Principal> {
  try {
    return await withGate(c, () => getPrincipal(c));
  } catch (error) {
    if (error instanceof AppError && error.code === "unauthenticated") {
      limitRate(c, `address ${c.env.address}`);
    }
    throw error;
  }
}

/** Runs `work`, which uses the database, when the gate admits it. @throws AppError busy */
export async function withGate<T>(c: Context<V2Env>, work: () => Promise<T> | T): Promise<T> {
  return await c.var.deps.gate.run(c.req.raw, work);
}

/** Runs the rest of the route when the gate admits it. */
export const passGate: MiddlewareHandler<V2Env> = (c, next) => withGate(c, next);

/**
 * Waits while the traffic is switched. @throws AppError before_cutover while the old backend is in charge of users and
 * tasks
 */
export const admitChange: MiddlewareHandler<V2Env> = async (c, next) => {
  const { changeDocuments } = c.var.deps;
  if (changeDocuments) await changeDocuments(c.req.raw.signal, next);
  else await next();
};

/**
 * Creates a middleware that admits the principals that `access` permits. It leaves the gate before the body is read,
 * because a body may arrive slowly.
 */
export function authorize(access: Access, path: string): MiddlewareHandler<V2Env> {
  return async (c, next) => {
    c.env.routed.route = path;
    if (access === "anyone") {
      limitRate(c, `address ${c.env.address}`);
      return await next();
    }
    const principal = await authenticate(c);
    c.env.routed.caller = principal.id;
    limitRate(c, principal.id);
    const refusal = findRefusal(access, principal, c.req.param("id"));
    if (refusal !== undefined) throw new AppError("forbidden", `${c.req.method} ${path}: ${refusal}`);
    c.set("principal", principal);
    await next();
  };
}
