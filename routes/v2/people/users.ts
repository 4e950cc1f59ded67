/** Users: looked at by staff, changed by admins, of whom one always stays; and one's own password. */
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
import { withRoom } from "../kit/admit.ts";
import { openSession, tokensOut } from "./auth.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { answerOnce } from "../kit/once.ts";
import { cutPage, pageOf, pageQuery, readCursor } from "../kit/pages.ts";
import { givenPassword, newPassword, tryPassword } from "./password.ts";
import { defineRoute, jsonAnswer, jsonBody, time } from "../kit/route.ts";
import { userOf } from "./sessions.ts";
import { isUuid } from "../../../uuid.ts";
import { answerTagged, checkMatch, tagText } from "../kit/tag.ts";
import { textOf } from "../kit/texts.ts";

const email = z.email({ pattern: z.regexes.unicodeEmail }).max(320)
  .transform((text) => text.slice(0, text.lastIndexOf("@")) + text.slice(text.lastIndexOf("@")).toLowerCase())
  .openapi({ description: "Unique, compared exactly; its domain is put in lower case" });
const fullname = textOf(200).nullable();
const roleList = z.array(z.enum(roles)).min(1).refine((given) => new Set(given).size === given.length, {
  message: "wanted each role once",
}).openapi({ uniqueItems: true, example: ["user"] });

const userOut = z.object({
  id: z.uuid(),
  email: z.string(),
  fullname: z.string().nullable(),
  roles: z.array(z.enum(roles)),
  is_active: z.boolean(),
  created_at: time,
  updated_at: time,
}).openapi("User");
const userParams = z.object({
  id: z.string().openapi({ param: { name: "id", in: "path" }, format: "uuid", description: "Of the user" }),
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
  who: "signed_in",
  tags,
  summary: "Who is signed in",
  responses: {
    200: jsonAnswer(
      userOut.pick({ id: true, email: true, fullname: true, roles: true }).openapi("Me"),
      "You",
    ),
  },
});
const putPassword = defineRoute({
  method: "put",
  path: "/users/me/password",
  who: "signed_in",
  room: "own",
  tags,
  summary: "Change one's password: all sessions end, a new one begins",
  request: {
    body: jsonBody(z.strictObject({ current_password: givenPassword, new_password: newPassword })),
  },
  responses: { 200: jsonAnswer(tokensOut, "Tokens of the new session") },
  problems: ["conflict"],
});
const readUsers = defineRoute({
  method: "get",
  path: "/users",
  who: "staff",
  tags,
  summary: "Users in the order they came",
  request: {
    query: pageQuery.extend({
      q: textOf(320).optional().openapi({ description: "A part of the e-mail or the name, in any case" }),
      role: z.enum(roles).optional(),
      active: z.enum(["true", "false"]).transform((text) => text === "true").optional()
        .openapi({ param: { name: "active", in: "query" }, type: "boolean" }),
    }),
  },
  responses: { 200: jsonAnswer(pageOf(userOut).openapi("Users"), "A page") },
});
const readUser = defineRoute({
  method: "get",
  path: "/users/{id}",
  who: "staff",
  tags,
  summary: "One user",
  request: { params: userParams },
  responses: { 200: jsonAnswer(userOut, "The user") },
});
const postUser = defineRoute({
  method: "post",
  path: "/users",
  who: "admin",
  room: "own",
  tags,
  summary: "Add a user",
  request: { body: jsonBody(userIn) },
  responses: { 201: jsonAnswer(userOut, "Added") },
  problems: ["conflict"],
});
const patchUser = defineRoute({
  method: "patch",
  path: "/users/{id}",
  who: "admin",
  room: "own",
  tags,
  summary: "Change a user",
  description: "A new password and `is_active: false` end the user's sessions. The last admin stays one.",
  request: { params: userParams, body: jsonBody(userPatch) },
  responses: { 200: jsonAnswer(userOut, "As it is now") },
  problems: ["conflict"],
});
const removeUser = defineRoute({
  method: "delete",
  path: "/users/{id}",
  who: "admin",
  tags,
  summary: "Remove a user for good",
  description: "Tasks and ratings stay. The last admin stays too.",
  request: { params: userParams },
  responses: { 204: { description: "Gone" } },
  problems: ["conflict"],
});

const toUser = ({ created_at, updated_at, ...row }: AccountRow): z.infer<typeof userOut> => ({
  ...row,
  created_at: created_at.toISOString(),
  updated_at: updated_at.toISOString(),
});

const noUser = (id: string) => new AppError("not_found", `no user '${id.slice(0, 100)}'`);
const taken = (given: string) => new AppError("conflict", `e-mail '${given}': another user has it`);
const lastAdmin = () =>
  new AppError("conflict", "changing the last active admin: nobody would be left to administer");

const matches = (c: Context<V2Env>) => async (row: AccountRow) =>
  checkMatch(c, await tagText(JSON.stringify(toUser(row))));

async function addUser(c: Context<V2Env>, { password, ...user }: z.output<typeof userIn>): Promise<Response> {
  // Before the transaction, which waits for nothing else.
  const hashed_password = await c.var.deps.passwords.hash(password);
  return await withRoom(c, () =>
    answerOnce(c, async (sql) => {
      const row = await insertAccount(sql, { ...user, hashed_password });
      if (!row) throw taken(user.email);
      return { status: 201, headers: { location: `/api/v2/users/${row.id}` }, body: toUser(row) };
    }));
}

async function changeUser(
  c: Context<V2Env>,
  id: string,
  { password, ...given }: z.output<typeof userPatch>,
): Promise<Response> {
  const { sql, passwords } = c.var.deps;
  if (!isUuid(id)) throw noUser(id);
  if (password !== undefined && id === userOf(c).id) {
    throw new AppError(
      "forbidden",
      "changing one's own password: PUT /users/me/password, with the current one",
    );
  }
  const change = given as Partial<NewUser>;
  if (password !== undefined) change.hashed_password = await passwords.hash(password);
  const outcome = await withRoom(c, () => updateAccount(sql, id, change, matches(c)));
  if (!outcome) throw noUser(id);
  if (outcome === "taken") throw taken(given.email!);
  if (outcome === "last_admin") throw lastAdmin();
  return await answerTagged(c, toUser(outcome));
}

async function changePassword(c: Context<V2Env>, current: string, wanted: string) {
  const { sql, passwords, throttle } = c.var.deps;
  const { id, email } = userOf(c);
  let before: string | undefined;
  const isSame = await tryPassword(c, email, current, async () => {
    before = await withRoom(c, () => findOwnPassword(sql, id));
    return before;
  });
  if (!isSame || before === undefined) {
    throw new AppError("forbidden", "changing one's password: the current one is wrong");
  }
  await throttle.succeeded(c.env.address, email);
  const change = { id, before, after: await passwords.hash(wanted) };
  const tokens = await withRoom(c, () => changeOwnPassword(sql, change))
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
    const { current_password: current, new_password: wanted } = c.req.valid("json");
    return c.json(await changePassword(c, current, wanted), 200);
  });
  app.openapi(readUsers, async (c) => {
    const { limit, cursor, q, role, active } = c.req.valid("query");
    const after = readCursor(cursor, z.tuple([z.iso.datetime(), z.uuid()]));
    const rows = await listAccounts(c.var.deps.sql, { q, role, active, after, limit: limit + 1 });
    const toCursor = (row: AccountRow) => [row.created_at.toISOString(), row.id];
    return await answerTagged(c, cutPage(rows, limit, toUser, toCursor)) as never;
  });
  app.openapi(readUser, async (c) => {
    const { id } = c.req.valid("param");
    const row = isUuid(id) ? await findAccount(c.var.deps.sql, id) : undefined;
    if (!row) throw noUser(id);
    return await answerTagged(c, toUser(row)) as never;
  });
  app.openapi(postUser, async (c) => await addUser(c, c.req.valid("json")) as never);
  app.openapi(
    patchUser,
    async (c) => await changeUser(c, c.req.valid("param").id, c.req.valid("json")) as never,
  );
  app.openapi(removeUser, async (c) => {
    const { id } = c.req.valid("param");
    const outcome = isUuid(id) ? await deleteAccount(c.var.deps.sql, id, matches(c)) : undefined;
    if (!outcome) throw noUser(id);
    if (outcome === "last_admin") throw lastAdmin();
    return c.body(null, 204);
  });
}
