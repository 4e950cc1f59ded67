/** Handlers of v1's user routes. */
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
import { type AuthenticatedCall, type Call, respond } from "./call.ts";
import { readEmail } from "./email.ts";
import { Faults, readBodyObject, readBoolean, readEnum, readInt, readList, readString } from "./pydantic.ts";
import { HttpError, ValidationError } from "./http_error.ts";

const userNotFound = () => new HttpError(404, "用户不存在");
const emailTaken = () => new HttpError(400, "邮箱已注册");
const passwordLengthMin = 8;
const limitDefault = 100n;

/** Returns a user as v1's JSON text. */
export function userToJson(user: UserRow): string {
  const { legacy_id: id, email, fullname, roles, is_active, created_at, updated_at } = user;
  return JSON.stringify({ id, email, fullname, roles, is_active, created_at, updated_at });
}

/** `GET /users/me` */
export function readMe({ user }: AuthenticatedCall): Response {
  return respond("success", userToJson(user));
}

/** `GET /users/{id}` */
export async function readUser({ deps: { sql }, id }: Call): Promise<Response> {
  const user = await findUser(sql, id);
  if (!user) throw userNotFound();
  return respond("success", userToJson(user));
}

/** `GET /users/` */
export async function readUsers({ deps: { sql }, query }: Call): Promise<Response> {
  const faults = new Faults();
  const readParameter = (name: string, defaultValue: bigint) => {
    const text = query.get(name);
    return text === undefined ? defaultValue : readInt(text, ["query", name], faults, { ge: 0 });
  };
  const skip = readParameter("skip", 0n);
  const limit = readParameter("limit", limitDefault);
  if (skip === undefined || limit === undefined) throw new ValidationError(faults.list);
  const users = await listUsers(sql, { skip, limit });
  return respond("success", `[${users.map(userToJson).join(",")}]`);
}

function readRoles(body: JsonObject, faults: Faults): Role[] | undefined {
  return readList(body.get("roles") ?? null, ["body", "roles"], faults)
    ?.map((role, index) => readEnum(role, roles, ["body", "roles", index], faults))
    .filter((role) => role !== undefined);
}

function readFullname(body: JsonObject, faults: Faults): string | null | undefined {
  const value = body.get("fullname");
  return value === undefined || value === null ? value : readString(value, ["body", "fullname"], faults);
}

const countCharacters = (text: string) => [...text].length;

function readNewPassword(body: JsonObject, faults: Faults): string | undefined {
  const loc = ["body", "password"];
  const value = body.get("password");
  if (value === undefined) return faults.addMissing(loc, body);
  const password = readString(value, loc, faults);
  if (password !== undefined && countCharacters(password) < passwordLengthMin) {
    const msg = `String should have at least ${passwordLengthMin} characters`;
    return faults.add("string_too_short", loc, msg, password, [["min_length", int(passwordLengthMin)]]);
  }
  return password;
}

/** `POST /users/` */
export async function createUser({ deps: { sql, passwords }, body: json }: Call): Promise<Response> {
  const faults = new Faults();
  const body = readBodyObject(json, faults);
  if (!body) throw new ValidationError(faults.list);
  const email = body.has("email")
    ? readEmail(body.get("email") ?? null, ["body", "email"], faults)
    : faults.addMissing(["body", "email"], body);
  const fullname = readFullname(body, faults) ?? null;
  const roles: Role[] | undefined = body.has("roles") ? readRoles(body, faults) : ["user"];
  const is_active = body.has("is_active")
    ? readBoolean(body.get("is_active") ?? null, ["body", "is_active"], faults)
    : true;
  const password = readNewPassword(body, faults);
  if (faults.list.length > 0) throw new ValidationError(faults.list);
  const user: NewUser = {
    email: email!,
    fullname,
    roles: roles!,
    is_active: is_active!,
    hashed_password: await passwords.hash(password!),
  };
  const row = await insertUser(sql, user);
  if (!row) throw emailTaken();
  return respond("success", userToJson(row));
}

function readChangedPassword(body: JsonObject, faults: Faults): string | undefined {
  const loc = ["body", "password"];
  const value = body.get("password") ?? null;
  const password = value === null ? undefined : readString(value, loc, faults);
  if (password !== undefined && countCharacters(password) < passwordLengthMin) {
    return faults.addValueError(loc, `密码长度必须至少为${passwordLengthMin}个字符`, password);
  }
  return password;
}

/**
 * `PUT /users/{id}`: absent fields do not change; null clears `fullname` and is a fault for `email`, `roles`
 * and `is_active`.
 */
export async function changeUser({ deps: { sql, passwords }, id, body: json }: Call): Promise<Response> {
  const faults = new Faults();
  const body = readBodyObject(json, faults);
  if (!body) throw new ValidationError(faults.list);
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
  if (faults.list.length > 0) throw new ValidationError(faults.list);
  if (!await findUser(sql, id)) throw userNotFound();
  if (email !== undefined) change.email = email;
  if (fullname !== undefined) change.fullname = fullname;
  if (roles !== undefined) change.roles = roles;
  if (is_active !== undefined) change.is_active = is_active;
  if (password !== undefined) change.hashed_password = await passwords.hash(password);
  const row = await updateUser(sql, id, change);
  if (row === "taken") throw emailTaken();
  if (!row) throw userNotFound();
  return respond("success", userToJson(row));
}

/** `DELETE /users/{id}` */
export async function removeUser({ deps: { sql }, id }: Call): Promise<Response> {
  if (!await deleteUser(sql, id)) throw userNotFound();
  return respond("用户删除成功", "null");
}
