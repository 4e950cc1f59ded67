/** Users of the played old backend. */
import bcrypt from "bcryptjs";
import { type Document, MongoServerError, ObjectId } from "mongodb";
import { type Json, type JsonObject } from "../../../json.ts";
import { respond } from "../../../routes/v1/call.ts";
import { HttpError } from "../../../routes/v1/http_error.ts";
import { findAll, findFirst, type Store } from "./store.ts";
import { toBson, toJson } from "./values.ts";

const duplicateKey = 11_000;
const notFound = () => new HttpError(404, "用户不存在");

/** Returns a user as v1 answers it. */
export function userToJson(
  { _id, email, fullname, roles, is_active, created_at, updated_at }: Document,
): string {
  return toJson({ id: _id, email, fullname, roles, is_active, created_at, updated_at });
}

/** Returns the document of a new user, as the old backend writes it. */
export function makeUser(email: string, password: string, fields: JsonObject = new Map()): Document {
  const now = new Date();
  return {
    _id: new ObjectId(),
    email,
    // A low cost, because nothing is secret here.
    hashed_password: bcrypt.hashSync(password, 4),
    fullname: toBson(fields.get("fullname") ?? null),
    roles: toBson(fields.get("roles") ?? ["user"]),
    is_active: toBson(fields.get("is_active") ?? true),
    created_at: now,
    updated_at: now,
  };
}

async function refuseTaken<T>(write: Promise<T>): Promise<T> {
  try {
    return await write;
  } catch (error) {
    if (error instanceof MongoServerError && error.code === duplicateKey) {
      throw new HttpError(400, "邮箱已注册");
    }
    throw error;
  }
}

function toId(text: string): ObjectId {
  // The old backend answers 500 here.
  if (!/^[0-9a-f]{24}$/i.test(text)) throw new Error(`'${text}' is no ObjectId`);
  return new ObjectId(text);
}

/** `POST /users/` */
export async function createUser({ users }: Store, body: JsonObject): Promise<Response> {
  const user = makeUser(String(body.get("email")), String(body.get("password")), body);
  await refuseTaken(users.insertOne(user));
  return respond("success", userToJson(user));
}

/** `PUT /users/{id}` */
export async function changeUser({ users }: Store, id: string, body: JsonObject): Promise<Response> {
  const change: Document = {};
  for (const name of ["email", "fullname", "roles", "is_active"]) {
    if (body.has(name)) change[name] = toBson(body.get(name) as Json);
  }
  const password = body.get("password");
  if (typeof password === "string") change.hashed_password = bcrypt.hashSync(password, 4);
  change.updated_at = new Date();
  const _id = toId(id);
  await refuseTaken(users.updateOne({ _id }, { $set: change }));
  const user = await findFirst(users, { _id });
  if (!user) throw notFound();
  return respond("success", userToJson(user));
}

/** `DELETE /users/{id}` */
export async function removeUser({ users }: Store, id: string): Promise<Response> {
  const { deletedCount } = await users.deleteOne({ _id: toId(id) });
  if (deletedCount === 0) throw notFound();
  return respond("用户删除成功", "null");
}

/** `GET /users/{id}` */
export async function readUser({ users }: Store, id: string): Promise<Response> {
  const user = await findFirst(users, { _id: toId(id) });
  if (!user) throw notFound();
  return respond("success", userToJson(user));
}

/** `GET /users/` */
export async function readUsers({ users }: Store, skip: number, limit: number): Promise<Response> {
  const list = await findAll(users, {}, { skip, limit });
  return respond("success", `[${list.map(userToJson).join()}]`);
}
