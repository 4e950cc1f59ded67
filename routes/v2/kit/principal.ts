/** Who makes a request, as statements and rights need it. */
import type { Context } from "hono";
import type { Actor } from "../../../db/people/shares.ts";
import type { Principal, UserPrincipal, V2Env } from "./context.ts";

export const isAdmin = (principal: Principal): boolean =>
  principal.kind === "user" && principal.roles.includes("admin");

/** Who acts, for the statement that asks whether they may. */
export function actorOf(c: Context<V2Env>): Actor {
  const { id, email } = c.var.principal as UserPrincipal;
  return { id, email, isAdmin: isAdmin(c.var.principal) };
}
