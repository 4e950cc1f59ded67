/** Who asks, and whether the route is for them; how much they may ask; and room at the database. */
import type { Context, MiddlewareHandler } from "hono";
import { findPrincipalUser } from "../../../db/people/sessions.ts";
import { findShare } from "../../../db/people/shares.ts";
import { AppError } from "../../../errors.ts";
import type { Principal, V2Env, Who } from "./context.ts";
import { takeTurn } from "./rate.ts";
import { hashToken, shareTokenPrefix } from "./secrets.ts";

const refuse = (why: string) => new AppError("unauthenticated", `signing in: ${why}`);

function readToken(c: Context<V2Env>): string {
  const header = c.req.header("authorization") ?? "";
  const [, token] = /^bearer +(\S+)$/i.exec(header) ?? [];
  if (token === undefined) throw refuse("no bearer token in Authorization");
  return token;
}

async function findPrincipal(c: Context<V2Env>): Promise<Principal> {
  const { sql, access } = c.var.deps;
  const token = readToken(c);
  if (token.startsWith(shareTokenPrefix)) {
    const share = await findShare(sql, await hashToken(token));
    if (!share) throw refuse("the link has expired or was revoked");
    return { kind: "share", ...share };
  }
  const claims = await access.verify(token);
  if (!claims) throw refuse("the token is not valid, or has expired");
  const user = await findPrincipalUser(sql, claims);
  if (!user) throw refuse("the session has ended");
  return { kind: "user", sessionId: claims.sessionId, ...user };
}

const isGuest = ({ roles }: { roles: string[] }) =>
  !roles.some((role) => role === "admin" || role === "manager" || role === "user");

/** Why the route is not for them; undefined when it is. */
function findObjection(who: Who, principal: Principal, taskId: string | undefined): string | undefined {
  if (who === "share") return principal.kind === "share" ? undefined : "this is for links to a task";
  if (principal.kind === "share") {
    if (who !== "reader" && who !== "rater" || taskId !== principal.taskId) {
      return "the link is for one task, and not for this";
    }
    return who === "rater" && principal.mode !== "rate"
      ? "the link is for looking, not for rating"
      : undefined;
  }
  const { roles } = principal;
  if (who === "admin" && !roles.includes("admin")) return "this is for admins";
  if (who === "staff" && !roles.includes("admin") && !roles.includes("manager")) {
    return "this is for admins and managers";
  }
  if (who !== "signed_in" && who !== "reader" && isGuest(principal)) return "guests may look, and no more";
}

/** Who asks; every try that fails takes a turn of its address, so that nobody guesses for long. */
async function findOrCount(c: Context<V2Env>): Promise<Principal> {
  try {
    return await withRoom(c, () => findPrincipal(c));
  } catch (error) {
    if (error instanceof AppError && error.code === "unauthenticated") {
      takeTurn(c, `address ${c.env.address}`);
    }
    throw error;
  }
}

/** Runs what asks the database, when there is room. @throws AppError busy */
export async function withRoom<T>(c: Context<V2Env>, work: () => Promise<T> | T): Promise<T> {
  return await c.var.deps.gate.run(c.req.raw, work);
}

/** A middleware that runs the rest of the route when there is room at the database. */
export const takeRoom: MiddlewareHandler<V2Env> = (c, next) => withRoom(c, next);

/** A middleware that lets in whom the route is for. Room is taken for the look alone: a body may be long in coming. */
export function admit(who: Who, path: string): MiddlewareHandler<V2Env> {
  return async (c, next) => {
    c.env.routed.route = path;
    if (who === "anyone") {
      takeTurn(c, `address ${c.env.address}`);
      return await next();
    }
    const principal = await findOrCount(c);
    takeTurn(c, principal.id);
    const objection = findObjection(who, principal, c.req.param("id"));
    if (objection !== undefined) throw new AppError("forbidden", `${c.req.method} ${path}: ${objection}`);
    c.set("principal", principal);
    await next();
  };
}
