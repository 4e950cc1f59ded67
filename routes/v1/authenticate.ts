/** Who asks: the bearer token, its user, and whether that user may. */
import { findUserByEmail, type UserRow } from "../../db/people/users.ts";
import { Refusal } from "./refusal.ts";
import type { Claims } from "../common/tokens.ts";
import type { V1Deps } from "./call.ts";
import type { Who } from "./table.ts";

const challenge = { "www-authenticate": "Bearer" };

/**
 * What a request's token says, without a look at the database.
 *
 * @throws Refusal 401 without a bearer token, with a bad or expired one
 */
export async function readClaims({ tokens }: V1Deps, request: Request): Promise<Claims> {
  const header = request.headers.get("authorization") ?? "";
  const gap = header.indexOf(" ");
  const scheme = gap < 0 ? header : header.slice(0, gap);
  if (scheme.toLowerCase() !== "bearer") throw new Refusal(401, "Not authenticated", challenge);
  const claims = await tokens.verify(gap < 0 ? "" : header.slice(gap + 1));
  if (!claims) throw new Refusal(401, "无效的认证凭据", challenge);
  return claims;
}

/**
 * The user of a token as of now.
 *
 * @throws Refusal 401 for one who is gone or disabled
 */
export async function findActiveUser({ sql }: V1Deps, { email }: Claims): Promise<UserRow> {
  const user = await findUserByEmail(sql, email);
  if (!user) throw new Refusal(401, "用户不存在", challenge);
  if (!user.is_active) throw new Refusal(401, "用户已禁用", challenge);
  return user;
}

/** @throws Refusal 403 when the route is for others */
export function authorize({ roles }: UserRow, who: Who): void {
  if (who === "admin" && !roles.includes("admin")) throw new Refusal(403, "权限不足，需要管理员权限");
  if (who === "staff" && !roles.includes("admin") && !roles.includes("manager")) {
    throw new Refusal(403, "权限不足，需要管理员或经理权限");
  }
}
