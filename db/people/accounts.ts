/** Users as v2 manages them. The last active admin cannot be removed, and outdated changes are refused. */
import type { Pool, Sql } from "../pg/connect.ts";
import { endSessions } from "./sign_outs.ts";
import { transact } from "../pg/transaction.ts";
import { isEmailTaken, makeUserIds, type NewUser, oldUserId, type Role } from "./users.ts";

export interface AccountRow {
  id: string;
  /** Id of a migrated user in the old backend; null for a user that was created here. */
  old_id: string | null;
  email: string;
  fullname: string | null;
  roles: Role[];
  is_active: boolean;
  created_at: Date;
  updated_at: Date;
}

const columns = (sql: Sql) =>
  sql`id, ${sql.unsafe(oldUserId)} as old_id, email, fullname, roles, is_active, created_at, updated_at`;

/** Finds an account. */
export async function findAccount(sql: Sql, id: string): Promise<AccountRow | undefined> {
  const [row] = await sql<AccountRow[]>`select ${columns(sql)} from users where id = ${id}`;
  return row;
}

export interface AccountFilter {
  /** Part of the e-mail or the name, in any case. */
  q: string | undefined;
  role: Role | undefined;
  active: boolean | undefined;
}

/** Lists accounts in order of creation. */
export async function listAccounts(
  sql: Sql,
  { q, role, active, after, limit }: AccountFilter & {
    after: [at: string, id: string] | undefined;
    limit: number;
  },
): Promise<AccountRow[]> {
  const isAfterCursor = after === undefined
    ? sql`true`
    : sql`(created_at, id) > (${after[0]}::timestamptz, ${after[1]}::uuid)`;
  const matchesText = q === undefined
    ? sql`true`
    : sql`(position(lower(${q}) in lower(email)) > 0 or position(lower(${q}) in lower(fullname)) > 0)`;
  const hasRole = role === undefined ? sql`true` : sql`${role} = any(roles)`;
  const hasState = active === undefined ? sql`true` : sql`is_active = ${active}::boolean`;
  return await sql<AccountRow[]>`
    select ${columns(sql)}
    from users
    where ${isAfterCursor} and ${matchesText} and ${hasRole} and ${hasState}
    order by created_at, id
    limit ${limit}::int`;
}

/** Inserts a user; undefined if the e-mail is taken. */
export async function insertAccount(
  sql: Sql,
  { email, hashed_password, fullname, roles, is_active }: NewUser,
): Promise<AccountRow | undefined> {
  const { id, legacy_id } = await makeUserIds(sql);
  const [row] = await sql<AccountRow[]>`
    insert into users (id, legacy_id, email, hashed_password, fullname, roles, is_active)
    values (${id}, ${legacy_id}, ${email}, ${hashed_password}, ${fullname}, ${roles}::text[], ${is_active})
    on conflict (email) do nothing
    returning ${columns(sql)}`;
  return row;
}

const isActiveAdmin = ({ roles, is_active }: Pick<AccountRow, "roles" | "is_active">): boolean =>
  is_active && roles.includes("admin");

/**
 * Locks a user. If the change may remove an admin, all active admins are locked too, so that the second of
 * two concurrent changes sees that only one admin is left. One statement takes all locks in the order of ids.
 * A second statement could break that order, because a row stays locked even if it no longer matches.
 */
async function lockAccount(sql: Sql, id: string, mayEndAdmin: boolean) {
  const rows = await sql<AccountRow[]>`
    select ${columns(sql)}
    from users
    where id = ${id} or ${mayEndAdmin}::boolean and is_active and 'admin' = any(roles)
    order by id
    for no key update`;
  const row = rows.find((found) => found.id === id);
  const admins = rows.filter(isActiveAdmin);
  return { row, isLastAdmin: row !== undefined && isActiveAdmin(row) && admins.length <= 1 };
}

/**
 * Updates the given fields. A new password or a deactivation also ends the user's sessions.
 *
 * @param check receives the present user and throws to refuse the change
 * @returns `last_admin` if no active admin would be left; `taken` if another user has the e-mail
 */
export async function updateAccount(
  pool: Pool,
  id: string,
  change: Partial<NewUser>,
  check: (row: AccountRow) => Promise<void> | void,
): Promise<AccountRow | "last_admin" | "taken" | undefined> {
  const { email, hashed_password, fullname, roles, is_active } = change;
  try {
    return await transact(pool, async (sql) => {
      const mayEndAdmin = is_active === false || roles !== undefined && !roles.includes("admin");
      const { row: before, isLastAdmin } = await lockAccount(sql, id, mayEndAdmin);
      if (!before) return undefined;
      await check(before);
      if (isLastAdmin && mayEndAdmin) return "last_admin";
      const ends = hashed_password !== undefined || is_active === false;
      const [row] = await sql<AccountRow[]>`
        update users
        set email = coalesce(${email ?? null}, email),
          hashed_password = coalesce(${hashed_password ?? null}, hashed_password),
          fullname = case when ${fullname !== undefined} then ${fullname ?? null}::text else fullname end,
          roles = coalesce(${roles ?? null}::text[], roles),
          is_active = coalesce(${is_active ?? null}::boolean, is_active),
          token_version = token_version + ${ends ? 1 : 0}::int,
          updated_at = greatest(now(), updated_at + interval '1 millisecond')
        where id = ${id}
        returning ${columns(sql)}`;
      if (ends) await endSessions(sql, id, hashed_password !== undefined ? "password" : "disabled");
      return row;
    });
  } catch (error) {
    if (isEmailTaken(error)) return "taken";
    throw error;
  }
}

/** Deletes a user; tasks and ratings stay. @param check as in {@link updateAccount} */
export async function deleteAccount(
  pool: Pool,
  id: string,
  check: (row: AccountRow) => Promise<void> | void,
): Promise<"deleted" | "last_admin" | undefined> {
  return await transact(pool, async (sql) => {
    const { row, isLastAdmin } = await lockAccount(sql, id, true);
    if (!row) return undefined;
    await check(row);
    if (isLastAdmin) return "last_admin";
    await sql`delete from users where id = ${id}`;
    return "deleted";
  });
}

/** Finds the password hash of an active user. */
export async function findOwnPassword(sql: Sql, id: string): Promise<string | undefined> {
  const [row] = await sql<{ hashed_password: string }[]>`
    select hashed_password from users where id = ${id} and is_active`;
  return row?.hashed_password;
}

/**
 * Changes the password of an active user and ends all sessions of the user.
 *
 * @returns false if the stored hash is no longer `before`
 */
export async function changeOwnPassword(
  pool: Pool,
  { id, before, after }: { id: string; before: string; after: string },
): Promise<boolean> {
  return await transact(pool, async (sql) => {
    const { count } = await sql`
      update users
      set hashed_password = ${after}, token_version = token_version + 1,
        updated_at = greatest(now(), updated_at + interval '1 millisecond')
      where id = ${id} and is_active and hashed_password = ${before}`;
    if (count > 0) await endSessions(sql, id, "password");
    return count > 0;
  });
}

/** Ends all sessions of a user and invalidates all access tokens. */
export async function signOutEverywhere(pool: Pool, id: string): Promise<void> {
  await transact(pool, async (sql) => {
    await sql`update users set token_version = token_version + 1 where id = ${id}`;
    await endSessions(sql, id, "signed_out");
  });
}
