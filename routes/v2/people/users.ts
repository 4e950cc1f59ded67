/** User administration, and the signed-in user's profile and password. One active admin always remains. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import {
  type AccountRow,
  changeOwnPassword,
  deleteAccount,
  findAccount,
  findOwnPassword,
  insertAccount,
  listAccounts,
  updateAccount,
} from "../../../db/people/accounts.ts";
import { type NewUser, roles } from "../../../db/people/users.ts";
import { AppError } from "../../../errors.ts";
import { withGate } from "../kit/authorize.ts";
import { openSession, tokensOut } from "./auth.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { respondOnce } from "../kit/idempotency.ts";
import { decodeCursor, pageOf, pageQuery, toPage } from "../kit/pages.ts";
import { currentPassword, newPassword, verifyPassword } from "./password.ts";
import { basePath, defineRoute, jsonBody, jsonResponse, time } from "../kit/route.ts";
import { userOf } from "./sessions.ts";
import { isUuid } from "../../../uuid.ts";
import { etagOf, requireMatch, respondTagged } from "../kit/etag.ts";
import { textSchema } from "../kit/texts.ts";

/** At most 64 characters before the `@` and 255 after it, without white space and control characters. */
const emailPattern = /^[^\s@"\p{Cc}]{1,64}@[^\s@\p{Cc}]{1,255}$/u;
const email = z.string().regex(emailPattern, "an e-mail address")
  .transform((text) => text.slice(0, text.lastIndexOf("@")) + text.slice(text.lastIndexOf("@")).toLowerCase())
  .openapi({
    format: "idn-email",
    maxLength: 320,
    pattern: emailPattern.source,
    description: "Unique and compared exactly. The domain is converted to lower case",
  });
const fullname = textSchema(200).nullable();
const roleList = z.array(z.enum(roles)).min(1).refine((list) => new Set(list).size === list.length, {
  message: "each role once",
}).openapi({ uniqueItems: true, example: ["user"] });

const userOut = z.object({
  id: z.uuid(),
  old_id: z.string().nullable().openapi({
    description: "Id in the old backend, which v1 shows; null for a user that was created here",
  }),
  email: z.string(),
  fullname: z.string().nullable(),
  roles: z.array(z.enum(roles)),
  is_active: z.boolean(),
  created_at: time,
  updated_at: time,
}).openapi("User");
/** `{id}` of a user. */
export const userParams = z.object({
  id: z.string().openapi({
    param: { name: "id", in: "path" },
    format: "uuid",
    description: "Id of the user",
  }),
});
const userIn = z.strictObject({
  email,
  password: newPassword,
  fullname: fullname.default(null),
  roles: roleList.default(["user"]),
  is_active: z.boolean().default(true),
}).openapi("UserIn");
const userPatch = z.strictObject({
  email: email.optional(),
  password: newPassword.optional(),
  fullname: fullname.optional(),
  roles: roleList.optional(),
  is_active: z.boolean().optional(),
}).openapi("UserPatch");
const tags: ["users"] = ["users"];

const readMe = defineRoute({
  method: "get",
  path: "/users/me",
  access: "signed_in",
  tags,
  summary: "Get the signed-in user",
  responses: {
    200: jsonResponse(
      userOut.pick({ id: true, email: true, fullname: true, roles: true }).openapi("Me"),
      "The user",
    ),
  },
});
const putPassword = defineRoute({
  method: "put",
  changesDocuments: true,
  path: "/users/me/password",
  access: "signed_in",
  gate: "in_handler",
  tags,
  summary: "Change the password of the signed-in user. All sessions end and a new one starts",
  request: {
    body: jsonBody(z.strictObject({ current_password: currentPassword, new_password: newPassword })),
  },
  responses: { 200: jsonResponse(tokensOut, "Tokens of the new session") },
  problems: ["conflict"],
});
const readUsers = defineRoute({
  method: "get",
  path: "/users",
  access: "staff",
  tags,
  summary: "List users, oldest first",
  request: {
    query: pageQuery.extend({
      q: textSchema(320).optional().openapi({
        description: "Part of the e-mail address or the name, case-insensitive",
      }),
      role: z.enum(roles).optional(),
      active: z.enum(["true", "false"]).transform((text) => text === "true").optional()
        .openapi({ param: { name: "active", in: "query" }, type: "boolean" }),
    }),
  },
  responses: { 200: jsonResponse(pageOf(userOut).openapi("Users"), "A page of users") },
});
const readUser = defineRoute({
  method: "get",
  path: "/users/{id}",
  access: "staff",
  tags,
  summary: "Get a user",
  request: { params: userParams },
  responses: { 200: jsonResponse(userOut, "The user") },
});
const postUser = defineRoute({
  method: "post",
  changesDocuments: true,
  path: "/users",
  access: "admin",
  gate: "in_handler",
  tags,
  summary: "Create a user",
  request: { body: jsonBody(userIn) },
  responses: { 201: jsonResponse(userOut, "The new user") },
  once: true,
  problems: ["conflict"],
});
const patchUser = defineRoute({
  method: "patch",
  changesDocuments: true,
  path: "/users/{id}",
  access: "admin",
  gate: "in_handler",
  tags,
  summary: "Change a user",
  description: "A new password and `is_active: false` end the user's sessions. " +
    "The last active admin cannot be demoted or disabled.",
  request: { params: userParams, body: jsonBody(userPatch) },
  responses: { 200: jsonResponse(userOut, "The changed user") },
  problems: ["conflict"],
});
const removeUser = defineRoute({
  method: "delete",
  changesDocuments: true,
  path: "/users/{id}",
  access: "admin",
  tags,
  summary: "Delete a user permanently",
  description: "The user's tasks and ratings remain. The last active admin cannot be deleted.",
  request: { params: userParams },
  responses: { 204: { description: "Deleted" } },
  problems: ["conflict"],
});

const toUser = ({ created_at, updated_at, ...row }: AccountRow): z.infer<typeof userOut> => ({
  ...row,
  created_at: created_at.toISOString(),
  updated_at: updated_at.toISOString(),
});

/** The error for an unknown user. */
export const userNotFound = (id: string) => new AppError("not_found", `no user '${id.slice(0, 100)}'`);
const emailTaken = (address: string) => new AppError("conflict", `e-mail '${address}': another user has it`);
const lastAdmin = () =>
  new AppError("conflict", "changing the last active admin: nobody would be left to administer");

const checkIfMatch = (c: Context<V2Env>) => async (row: AccountRow) =>
  requireMatch(c, await etagOf(JSON.stringify(toUser(row))));

async function addUser(c: Context<V2Env>, { password, ...user }: z.output<typeof userIn>) {
  // Hash before the transaction, so that the transaction does not wait for it.
  const hashed_password = await c.var.deps.passwords.hash(password);
  return await withGate(c, () =>
    respondOnce(c, async (sql) => {
      const row = await insertAccount(sql, { ...user, hashed_password });
      if (!row) throw emailTaken(user.email);
      return { status: 201, headers: { location: `${basePath}/users/${row.id}` }, body: toUser(row) };
    }));
}

async function changeUser(
  c: Context<V2Env>,
  id: string,
  { password, ...fields }: z.output<typeof userPatch>,
) {
  const { sql, passwords } = c.var.deps;
  if (!isUuid(id)) throw userNotFound(id);
  if (password !== undefined && id === userOf(c).id) {
    throw new AppError(
      "forbidden",
      "changing one's own password: PUT /users/me/password, with the current one",
    );
  }
  const change = fields as Partial<NewUser>;
  if (password !== undefined) change.hashed_password = await passwords.hash(password);
  const outcome = await withGate(c, () => updateAccount(sql, id, change, checkIfMatch(c)));
  if (!outcome) throw userNotFound(id);
  if (outcome === "taken") throw emailTaken(fields.email!);
  if (outcome === "last_admin") throw lastAdmin();
  return await respondTagged(c, toUser(outcome));
}

async function changePassword(c: Context<V2Env>, current: string, next: string) {
  const { sql, passwords, throttle } = c.var.deps;
  const { id, email } = userOf(c);
  let before: string | undefined;
  const isSame = await verifyPassword(c, email, current, async () => {
    before = await withGate(c, () => findOwnPassword(sql, id));
    return before;
  });
  if (!isSame || before === undefined) {
    throw new AppError("forbidden", "changing one's password: the current one is wrong");
  }
  await throttle.recordSuccess(c.env.address, email);
  const change = { id, before, after: await passwords.hash(next) };
  const tokens = await withGate(c, () => changeOwnPassword(sql, change))
    ? await openSession(c, { id, hashed_password: change.after })
    : undefined;
  if (!tokens) throw new AppError("conflict", "changing one's password: it was changed meanwhile");
  return tokens;
}

export function addUsers(app: V2App): void {
  app.openapi(readMe, (c) => {
    const { id, email, fullname, roles } = userOf(c);
    return c.json({ id, email, fullname, roles }, 200);
  });
  app.openapi(putPassword, async (c) => {
    const { current_password: current, new_password: next } = c.req.valid("json");
    return c.json(await changePassword(c, current, next), 200);
  });
  app.openapi(readUsers, async (c) => {
    const { limit, cursor, q, role, active } = c.req.valid("query");
    const after = decodeCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()]));
    const rows = await listAccounts(c.var.deps.sql, { q, role, active, after, limit: limit + 1 });
    const toCursor = (row: AccountRow) => [row.created_at.toISOString(), row.id];
    return await respondTagged(c, toPage(rows, limit, toUser, toCursor));
  });
  app.openapi(readUser, async (c) => {
    const { id } = c.req.valid("param");
    const row = isUuid(id) ? await findAccount(c.var.deps.sql, id) : undefined;
    if (!row) throw userNotFound(id);
    return await respondTagged(c, toUser(row));
  });
  app.openapi(postUser, async (c) => await addUser(c, c.req.valid("json")));
  app.openapi(
    patchUser,
    async (c) => await changeUser(c, c.req.valid("param").id, c.req.valid("json")),
  );
  app.openapi(removeUser, async (c) => {
    const { id } = c.req.valid("param");
    const outcome = isUuid(id) ? await deleteAccount(c.var.deps.sql, id, checkIfMatch(c)) : undefined;
    if (!outcome) throw userNotFound(id);
    if (outcome === "last_admin") throw lastAdmin();
    return c.body(null, 204);
  });
}
