/** Authentication by bearer token, and authorisation by role. */
import { findUserByEmail, type UserRow } from "../../db/people/users.ts";
import { HttpError } from "./http_error.ts";
import { firstAuthorization } from "../common/headers.ts";
import type { TokenPayload } from "../common/tokens.ts";
import type { V1Deps } from "./call.ts";
import type { Access } from "./table.ts";

const challenge = { "www-authenticate": "Bearer" };

/**
 * Returns the payload of a request's token, which the first Authorization header carries. It does not query the database.
 *
 * @throws HttpError 401 if the bearer token is absent, invalid or expired
 */
export async function readTokenPayload({ tokens }: V1Deps, request: Request): Promise<TokenPayload> {
  const header = firstAuthorization(request.headers) ?? "";
  const gap = header.indexOf(" ");
  const scheme = gap < 0 ? header : header.slice(0, gap);
  if (scheme.toLowerCase() !== "bearer") throw new HttpError(401, "Not authenticated", challenge);
  const payload = await tokens.verify(gap < 0 ? "" : header.slice(gap + 1));
  if (!payload) throw new HttpError(401, "无效的认证凭据", challenge);
  return payload;
}

/**
 * Returns the current row of a token's user.
 *
 * @throws HttpError 401 if the user is deleted or disabled
 */
export async function getActiveUser({ sql }: V1Deps, { email }: TokenPayload): Promise<UserRow> {
  const user = await findUserByEmail(sql, email);
  if (!user) throw new HttpError(401, "用户不存在", challenge);
  if (!user.is_active) throw new HttpError(401, "用户已禁用", challenge);
  return user;
}

/**
 * Checks that a user's roles permit the route.
 *
 * @throws HttpError 403 if they do not
 */
export function authorize({ roles }: UserRow, access: Access): void {
  if (access === "admin" && !roles.includes("admin")) throw new HttpError(403, "权限不足，需要管理员权限");
  if (access === "staff" && !roles.includes("admin") && !roles.includes("manager")) {
    throw new HttpError(403, "权限不足，需要管理员或经理权限");
  }
}
