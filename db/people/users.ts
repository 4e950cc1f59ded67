/** Users as v1 manages them. */
import { isUuid, userUuidOf, userUuidOfNumber, userUuidOfObjectId } from "../../uuid.ts";
import { keptDocumentId } from "../pg/extra.ts";
import type { Pool, Sql } from "../pg/connect.ts";
import { endSessions } from "./sign_outs.ts";
import { transact } from "../pg/transaction.ts";

export const roles = ["admin", "manager", "user", "guest"] as const;
export type Role = (typeof roles)[number];

export interface UserRow {
  id: string;
  /** Id of the old backend, which v1 shows: an ObjectId, or another `_id` as text. */
  legacy_id: string;
  email: string;
  fullname: string | null;
  roles: Role[];
  is_active: boolean;
  /** UTC without a zone, with six fraction digits, or none if the fraction is zero. */
  created_at: string;
  updated_at: string;
}

/** A user to insert. */
export interface NewUser {
  email: string;
  hashed_password: string;
  fullname: string | null;
  roles: Role[];
  is_active: boolean;
}

const timeWithoutZone = (sql: Sql, column: string) =>
  sql`replace(to_char(${sql(column)}, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') as ${sql(column)}`;

/** SQL text for the id of the old backend as JSON; the driver parses it. */
const oldId = `coalesce(${keptDocumentId("extra")}, to_json(legacy_id)::text)::json`;

/** SQL text for the id that a migrated user had in the old backend, as JSON; null for other users. */
export const oldUserId = `case when generation is not null then ${oldId} end`;

const userColumns = (sql: Sql) =>
  sql`id, ${sql.unsafe(oldId)} as legacy_id, email, fullname, roles, is_active,
    ${timeWithoutZone(sql, "created_at")}, ${timeWithoutZone(sql, "updated_at")}`;

/** Finds the user of an e-mail, compared exactly. */
export async function findUserByEmail(sql: Sql, email: string): Promise<UserRow | undefined> {
  if (email.includes("\0")) return undefined;
  const [row] = await sql<UserRow[]>`select ${userColumns(sql)} from users where email = ${email}`;
  return row;
}

export interface Credentials {
  id: string;
  legacy_id: string;
  email: string;
  hashed_password: string;
  is_active: boolean;
}

/** Finds the credentials of an e-mail's user. */
export async function findPassword(
  sql: Sql,
  email: string,
): Promise<Credentials | undefined> {
  if (email.includes("\0")) return undefined;
  const [row] = await sql<Credentials[]>`
    select id, ${sql.unsafe(oldId)} as legacy_id, email, hashed_password, is_active
    from users
    where email = ${email}`;
  return row;
}

/** Finds a user by any id: 24 hex digits in any case, a UUID in canonical form, or another `_id` as text. */
export async function findUser(sql: Sql, id: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`select ${userColumns(sql)} from users where ${byId(sql, id)}`;
  return row;
}

/** Lists a page of users in order of creation. Of the legacy id, only the seconds take part in the order. */
export async function listUsers(
  sql: Sql,
  { skip, limit }: { skip: bigint; limit: bigint },
): Promise<UserRow[]> {
  return await sql<UserRow[]>`
    select ${userColumns(sql)} from users
    order by left(users.legacy_id, 8), created_at, users.legacy_id
    offset ${String(skip)}::bigint limit ${String(limit)}::bigint`;
}

/**
 * Returns the ids of a new user. The UUID follows from the ObjectId, as for migrated users, so that a document that is
 * written to MongoDB leads to the same row when it is read again.
 */
export async function makeUserIds(sql: Sql): Promise<{ id: string; legacy_id: string }> {
  const [row] = await sql<{ legacy_id: string }[]>`select new_legacy_id() as legacy_id`;
  const { legacy_id } = row!;
  return { id: userUuidOfObjectId(legacy_id), legacy_id };
}

/** Inserts a user; undefined if the e-mail is taken. */
export async function insertUser(sql: Sql, user: NewUser): Promise<UserRow | undefined> {
  const { id, legacy_id } = await makeUserIds(sql);
  const [row] = await sql<UserRow[]>`
    insert into users (id, legacy_id, email, hashed_password, fullname, roles, is_active)
    values (${id}, ${legacy_id}, ${user.email}, ${user.hashed_password}, ${user.fullname}, ${user.roles}::text[],
      ${user.is_active})
    on conflict (email) do nothing
    returning ${userColumns(sql)}`;
  return row;
}

/**
 * Updates the given fields and `updated_at`. A new password or a deactivation also ends all v2 sessions of
 * the user, in the same transaction.
 *
 * @returns `taken` if another user has the e-mail
 */
export async function updateUser(
  pool: Pool,
  id: string,
  change: Partial<NewUser>,
): Promise<UserRow | "taken" | undefined> {
  try {
    const reason = change.hashed_password !== undefined
      ? "password"
      : change.is_active === false
      ? "disabled"
      : undefined;
    if (reason === undefined) return await writeUser(pool, id, change);
    return await transact(pool, async (sql) => {
      const row = await writeUser(sql, id, change);
      if (row) await endSessions(sql, row.id, reason);
      return row;
    });
  } catch (error) {
    if (isEmailTaken(error)) return "taken";
    throw error;
  }
}

/** Reports whether a statement failed because another user has the e-mail. */
export const isEmailTaken = (error: unknown): boolean =>
  (error as { constraint_name?: string }).constraint_name === "users_email_key";

async function writeUser(
  sql: Sql,
  id: string,
  { email, hashed_password, fullname, roles, is_active }: Partial<NewUser>,
): Promise<UserRow | undefined> {
  const endsSessions = hashed_password !== undefined || is_active === false;
  const [row] = await sql<UserRow[]>`
    update users
    set email = coalesce(${email ?? null}, email),
      hashed_password = coalesce(${hashed_password ?? null}, hashed_password),
      fullname = case when ${fullname !== undefined} then ${fullname ?? null}::text else fullname end,
      roles = coalesce(${roles ?? null}::text[], roles),
      is_active = coalesce(${is_active ?? null}::boolean, is_active),
      token_version = token_version + ${endsSessions ? 1 : 0}::int,
      updated_at = greatest(now(), updated_at + interval '1 millisecond')
    where ${byId(sql, id)}
    returning ${userColumns(sql)}`;
  return row;
}

/** Deletes a user; its tasks stay without an owner. @returns whether the user existed */
export async function deleteUser(sql: Sql, id: string): Promise<boolean> {
  const { count } = await sql`delete from users where ${byId(sql, id)}`;
  return count > 0;
}

const legacyIdForm = /^[0-9a-f]{24}$/i;
/** Whole numbers of MongoDB have at most 64 bits. */
const wholeNumber = /^(?:0|-?[1-9]\d{0,18})$/;

/** Returns a condition that selects the user of an id. A migrated `_id` that is no ObjectId has a derived UUID. */
function byId(sql: Sql, id: string) {
  const known = legacyIdForm.test(id)
    ? sql`select id from users where legacy_id = ${id.toLowerCase()}`
    : isUuid(id)
    ? sql`select id from users where id = ${id}`
    : sql`null`;
  const ofNumber = wholeNumber.test(id) ? userUuidOfNumber(BigInt(id)) : null;
  return sql`id = coalesce(
    (${known}),
    (select id from users where id = ${userUuidOf(id)}),
    ${ofNumber}
  )`;
}
