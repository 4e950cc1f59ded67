import { isUuid } from "../../uuid.ts";
import type { Pool, Sql } from "../pg/connect.ts";
import { endSessions } from "./sign_outs.ts";
import { transact } from "../pg/transaction.ts";

export const roles = ["admin", "manager", "user", "guest"] as const;
export type Role = (typeof roles)[number];

export interface UserRow {
  id: string;
  /** The ObjectId of the old backend: the id that v1 shows. */
  legacy_id: string;
  email: string;
  fullname: string | null;
  roles: Role[];
  is_active: boolean;
  /** UTC without a zone, six fraction digits, none when the fraction is zero. */
  created_at: string;
  updated_at: string;
}

/** A user to be. */
export interface NewUser {
  email: string;
  hashed_password: string;
  fullname: string | null;
  roles: Role[];
  is_active: boolean;
}

const naive = (sql: Sql, column: string) =>
  sql`replace(to_char(${sql(column)}, 'YYYY-MM-DD"T"HH24:MI:SS.US'), '.000000', '') as ${sql(column)}`;

const userColumns = (sql: Sql) =>
  sql`id, legacy_id, email, fullname, roles, is_active,
    ${naive(sql, "created_at")}, ${naive(sql, "updated_at")}`;

/** The user of an e-mail, compared exactly. */
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

/** What a login compares: the hash of an e-mail's user. */
export async function findPassword(
  sql: Sql,
  email: string,
): Promise<Credentials | undefined> {
  if (email.includes("\0")) return undefined;
  const [row] = await sql<Credentials[]>`
    select id, legacy_id, email, hashed_password, is_active from users where email = ${email}`;
  return row;
}

/** A user by the id of either backend: 24 hex digits in any case, or a UUID in its canonical form. */
export async function findUser(sql: Sql, id: string): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`select ${userColumns(sql)} from users where ${byId(sql, id)}`;
  return row;
}

/** Users in the order they came, a page of them; ids are ordered by their seconds alone. */
export async function listUsers(
  sql: Sql,
  { skip, limit }: { skip: bigint; limit: bigint },
): Promise<UserRow[]> {
  return await sql<UserRow[]>`
    select ${userColumns(sql)} from users
    order by left(legacy_id, 8), created_at, legacy_id
    offset ${String(skip)}::bigint limit ${String(limit)}::bigint`;
}

/** Adds a user; undefined when the e-mail is taken. */
export async function insertUser(sql: Sql, user: NewUser): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
    insert into users (email, hashed_password, fullname, roles, is_active)
    values (${user.email}, ${user.hashed_password}, ${user.fullname}, ${user.roles}::text[], ${user.is_active})
    on conflict (email) do nothing
    returning ${userColumns(sql)}`;
  return row;
}

/**
 * Changes the given fields and the time of the change; a new password and the end of access end v2's sessions, in the
 * same transaction, as nothing that was signed in before may go on.
 *
 * @returns `taken` when another user has the e-mail
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
    if (isTaken(error)) return "taken";
    throw error;
  }
}

/** Whether a statement failed as another user has the e-mail. */
export const isTaken = (error: unknown): boolean =>
  (error as { constraint_name?: string }).constraint_name === "users_email_key";

async function writeUser(
  sql: Sql,
  id: string,
  { email, hashed_password, fullname, roles, is_active }: Partial<NewUser>,
): Promise<UserRow | undefined> {
  const [row] = await sql<UserRow[]>`
      update users
      set email = coalesce(${email ?? null}, email),
        hashed_password = coalesce(${hashed_password ?? null}, hashed_password),
        fullname = case when ${fullname !== undefined} then ${fullname ?? null}::text else fullname end,
        roles = coalesce(${roles ?? null}::text[], roles),
        is_active = coalesce(${is_active ?? null}::boolean, is_active),
        token_version = token_version + ${hashed_password !== undefined || is_active === false ? 1 : 0}::int,
        updated_at = greatest(now(), updated_at + interval '1 millisecond')
      where ${byId(sql, id)}
      returning ${userColumns(sql)}`;
  return row;
}

/** Removes a user for good; true when there was one. Tasks stay, without an owner. */
export async function deleteUser(sql: Sql, id: string): Promise<boolean> {
  const { count } = await sql`delete from users where ${byId(sql, id)}`;
  return count > 0;
}

const legacyIdForm = /^[0-9a-fA-F]{24}$/;

function byId(sql: Sql, id: string) {
  if (legacyIdForm.test(id)) return sql`legacy_id = ${id.toLowerCase()}`;
  return isUuid(id) ? sql`id = ${id}` : sql`false`;
}

/** Whether a user has exactly this e-mail. */
export async function hasEmail(sql: Sql, id: string, email: string): Promise<boolean> {
  const [row] = await sql`select from users where id = ${id} and email = ${email}`;
  return row !== undefined;
}
