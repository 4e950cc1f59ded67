/** The users' calls of v1. */
import {
  deleteUser,
  findUser,
  insertUser,
  listUsers,
  type NewUser,
  type Role,
  roles,
  updateUser,
  type UserRow,
} from "../../db/people/users.ts";
import { int, type JsonObject } from "../../json.ts";
import { answer, type Call, type SignedCall } from "./call.ts";
import { readEmail } from "./email.ts";
import { Faults, readBody, readBoolean, readEnum, readInt, readList, readString } from "./pydantic.ts";
import { Refusal, Rejection } from "./refusal.ts";

const unknownUser = () => new Refusal(404, "用户不存在");
const taken = () => new Refusal(400, "邮箱已注册");
const passwordLengthMin = 8;
const limitDefault = 100n;

/** A user as v1 shows it. */
export function userToJson(user: UserRow): string {
  const { legacy_id: id, email, fullname, roles, is_active, created_at, updated_at } = user;
  return JSON.stringify({ id, email, fullname, roles, is_active, created_at, updated_at });
}

/** `GET /users/me` */
export function readMe({ user }: SignedCall): Response {
  return answer("success", userToJson(user));
}

/** `GET /users/{id}` */
export async function readUser({ deps: { sql }, id }: Call): Promise<Response> {
  const user = await findUser(sql, id);
  if (!user) throw unknownUser();
  return answer("success", userToJson(user));
}

/** `GET /users/` */
export async function readUsers({ deps: { sql }, query }: Call): Promise<Response> {
  const faults = new Faults();
  const given = (name: string, standard: bigint) => {
    const text = query.get(name);
    return text === undefined ? standard : readInt(text, ["query", name], faults, { ge: 0 });
  };
  const skip = given("skip", 0n);
  const limit = given("limit", limitDefault);
  if (skip === undefined || limit === undefined) throw new Rejection(faults.list);
  const users = await listUsers(sql, { skip, limit });
  return answer("success", `[${users.map(userToJson).join(",")}]`);
}

function readRoles(body: JsonObject, faults: Faults): Role[] | undefined {
  return readList(body.get("roles") ?? null, ["body", "roles"], faults)
    ?.map((role, index) => readEnum(role, roles, ["body", "roles", index], faults))
    .filter((role) => role !== undefined);
}

function readFullname(body: JsonObject, faults: Faults): string | null | undefined {
  const given = body.get("fullname");
  return given === undefined || given === null ? given : readString(given, ["body", "fullname"], faults);
}

const lengthOf = (text: string) => [...text].length;

function readNewPassword(body: JsonObject, faults: Faults): string | undefined {
  const loc = ["body", "password"];
  const given = body.get("password");
  if (given === undefined) return faults.addMissing(loc, body);
  const password = readString(given, loc, faults);
  if (password !== undefined && lengthOf(password) < passwordLengthMin) {
    const msg = `String should have at least ${passwordLengthMin} characters`;
    return faults.add("string_too_short", loc, msg, password, [["min_length", int(passwordLengthMin)]]);
  }
  return password;
}

/** `POST /users/` */
export async function createUser({ deps: { sql, passwords }, body: given }: Call): Promise<Response> {
  const faults = new Faults();
  const body = readBody(given, faults);
  if (!body) throw new Rejection(faults.list);
  const email = body.has("email")
    ? readEmail(body.get("email") ?? null, ["body", "email"], faults)
    : faults.addMissing(["body", "email"], body);
  const fullname = readFullname(body, faults) ?? null;
  const roles: Role[] | undefined = body.has("roles") ? readRoles(body, faults) : ["user"];
  const is_active = body.has("is_active")
    ? readBoolean(body.get("is_active") ?? null, ["body", "is_active"], faults)
    : true;
  const password = readNewPassword(body, faults);
  if (faults.list.length > 0) throw new Rejection(faults.list);
  const user: NewUser = {
    email: email!,
    fullname,
    roles: roles!,
    is_active: is_active!,
    hashed_password: await passwords.hash(password!),
  };
  const row = await insertUser(sql, user);
  if (!row) throw taken();
  return answer("success", userToJson(row));
}

function readChangedPassword(body: JsonObject, faults: Faults): string | undefined {
  const loc = ["body", "password"];
  const given = body.get("password") ?? null;
  const password = given === null ? undefined : readString(given, loc, faults);
  if (password !== undefined && lengthOf(password) < passwordLengthMin) {
    return faults.addValueError(loc, `密码长度必须至少为${passwordLengthMin}个字符`, password);
  }
  return password;
}

/** `PUT /users/{id}`: what is absent stays; null empties the name, and is refused where a user cannot be without. */
export async function changeUser({ deps: { sql, passwords }, id, body: given }: Call): Promise<Response> {
  const faults = new Faults();
  const body = readBody(given, faults);
  if (!body) throw new Rejection(faults.list);
  const change: Partial<NewUser> = {};
  const email = body.has("email")
    ? readEmail(body.get("email") ?? null, ["body", "email"], faults)
    : undefined;
  const fullname = readFullname(body, faults);
  const password = readChangedPassword(body, faults);
  const roles = body.has("roles") ? readRoles(body, faults) : undefined;
  const is_active = body.has("is_active")
    ? readBoolean(body.get("is_active") ?? null, ["body", "is_active"], faults)
    : undefined;
  if (faults.list.length > 0) throw new Rejection(faults.list);
  if (!await findUser(sql, id)) throw unknownUser();
  if (email !== undefined) change.email = email;
  if (fullname !== undefined) change.fullname = fullname;
  if (roles !== undefined) change.roles = roles;
  if (is_active !== undefined) change.is_active = is_active;
  if (password !== undefined) change.hashed_password = await passwords.hash(password);
  const row = await updateUser(sql, id, change);
  if (row === "taken") throw taken();
  if (!row) throw unknownUser();
  return answer("success", userToJson(row));
}

/** `DELETE /users/{id}` */
export async function removeUser({ deps: { sql }, id }: Call): Promise<Response> {
  if (!await deleteUser(sql, id)) throw unknownUser();
  return answer("用户删除成功", "null");
}
