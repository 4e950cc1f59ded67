/** The principal in the forms that statements and access checks need. */
import type { Context } from "hono";
import type { Actor } from "../../../db/people/task_access.ts";
import type { Principal, UserPrincipal, V2Env } from "./context.ts";

export const isAdmin = (principal: Principal): boolean =>
  principal.kind === "user" && principal.roles.includes("admin");

/** Returns the user of a request, for statements that check whether they may change a task. */
export function actorOf(c: Context<V2Env>): Actor {
  const { id, email } = c.var.principal as UserPrincipal;
  return { id, email, isAdmin: isAdmin(c.var.principal) };
}
