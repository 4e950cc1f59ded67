/** Sessions of v2: each has a refresh token that is renewed with every use. */
import type { Sql } from "../pg/connect.ts";
import type { Role } from "./users.ts";

export interface SessionUser {
  id: string;
  email: string;
  fullname: string | null;
  roles: Role[];
}

/**
 * Finds the user of an access token. Undefined if the session has ended, the user is inactive or the token
 * version is outdated.
 */
export async function findPrincipalUser(
  sql: Sql,
  { userId, sessionId, version }: { userId: string; sessionId: string; version: number },
): Promise<SessionUser | undefined> {
  const [row] = await sql<SessionUser[]>`
    select u.id, u.email, u.fullname, u.roles
    from users u
    join sessions s on s.user_id = u.id
    where u.id = ${userId} and u.is_active and u.token_version = ${version} and s.id = ${sessionId}
      and s.ended_at is null and s.expires_at > now()`;
  return row;
}

export interface NewSession {
  /** If absent, the database generates it. */
  id?: string;
  userId: string;
  tokenHash: Uint8Array;
  lifeSeconds: number;
  /** User agent of the browser. */
  client: string;
}

/** A session, and the version that its access tokens must carry. */
export interface OpenSession {
  id: string;
  version: number;
}

/** Inserts a session of an existing user. */
export async function insertSession(
  sql: Sql,
  { id, userId, tokenHash, lifeSeconds, client }: NewSession,
): Promise<OpenSession> {
  const [row] = await sql<OpenSession[]>`
    insert into sessions (id, user_id, token_hash, expires_at, client)
    values (coalesce(${id ?? null}::uuid, gen_random_uuid()), ${userId}, ${tokenHash},
      now() + ${lifeSeconds}::int * interval '1 s', ${client})
    returning id, (select token_version from users where id = ${userId}) as version`;
  return row!;
}

/**
 * Inserts a session after a successful password check. A concurrent change of the password is waited for; a
 * later one ends this session together with the others.
 *
 * @returns undefined if the user was deleted or deactivated, or its password has changed since the check
 */
export async function insertSessionOf(
  sql: Sql,
  { id, userId, tokenHash, lifeSeconds, client, passwordHash }: Required<NewSession> & {
    passwordHash: string;
  },
): Promise<OpenSession | undefined> {
  const [row] = await sql<OpenSession[]>`
    with owner as (
      select id, token_version
      from users
      where id = ${userId} and is_active and hashed_password = ${passwordHash}
      for share
    ), inserted as (
      insert into sessions (id, user_id, token_hash, expires_at, client)
      select ${id}, id, ${tokenHash}, now() + ${lifeSeconds}::int * interval '1 s', ${client} from owner
      returning id
    )
    select inserted.id, owner.token_version as version from inserted, owner`;
  return row;
}

/** Seconds for which the previous token remains valid, for concurrent renewals and lost answers. */
const graceSeconds = 10;

export interface Renewal {
  id: string;
  /** Hashes of the presented token and of its successor. */
  presented: Uint8Array;
  next: Uint8Array;
}

export interface Renewed {
  user_id: string;
  version: number;
}

/** Replaces the presented token by its successor; undefined if the presented token is not the current one. */
export async function renewSession(sql: Sql, { id, presented, next }: Renewal): Promise<Renewed | undefined> {
  const [row] = await sql<Renewed[]>`
    update sessions s
    set previous_hash = s.token_hash, token_hash = ${next}, rotated_at = now()
    from users u
    where s.id = ${id} and u.id = s.user_id and u.is_active and s.token_hash = ${presented}
      and s.ended_at is null and s.expires_at > now()
    returning s.user_id, u.token_version as version`;
  return row;
}

/**
 * Finds a session whose token was renewed within the grace time, from the presented token to its successor.
 */
export async function findJustRenewed(
  sql: Sql,
  { id, presented, next }: Renewal,
): Promise<Renewed | undefined> {
  const [row] = await sql<Renewed[]>`
    select s.user_id, u.token_version as version
    from sessions s
    join users u on u.id = s.user_id
    where s.id = ${id} and u.is_active and s.previous_hash = ${presented} and s.token_hash = ${next}
      and s.ended_at is null and s.expires_at > now()
      and s.rotated_at > now() - ${graceSeconds}::int * interval '1 s'`;
  return row;
}

/** Ends a session whose token was used again after its renewal. @returns its user if the session was open */
export async function endReusedSession(
  sql: Sql,
  id: string,
  presented: Uint8Array,
): Promise<string | undefined> {
  const [row] = await sql<{ user_id: string }[]>`
    update sessions
    set ended_at = now(), end_reason = 'reuse'
    where id = ${id} and ended_at is null and expires_at > now() and token_hash <> ${presented}
    returning user_id`;
  return row?.user_id;
}

/**
 * Ends one session.
 *
 * @param userId the session must be this user's; absent: whose session it is was proved otherwise
 * @returns false if there is no such open session
 */
export async function endSession(
  sql: Sql,
  { userId, id }: { userId?: string; id: string },
): Promise<boolean> {
  const isOfUser = userId === undefined ? sql`true` : sql`user_id = ${userId}`;
  const { count } = await sql`
    update sessions
    set ended_at = now(), end_reason = 'signed_out'
    where id = ${id} and ${isOfUser} and ended_at is null and expires_at > now()`;
  return count > 0;
}

export interface SessionRow {
  id: string;
  client: string;
  created_at: Date;
  rotated_at: Date;
  expires_at: Date;
}

/** Lists the open sessions of a user, newest first. */
export async function listSessions(
  sql: Sql,
  { userId, before, limit }: { userId: string; before: [at: string, id: string] | undefined; limit: number },
): Promise<SessionRow[]> {
  const isAfterCursor = before === undefined
    ? sql`true`
    : sql`(created_at, id) < (${before[0]}::timestamptz, ${before[1]}::uuid)`;
  return await sql<SessionRow[]>`
    select id, client, created_at, rotated_at, expires_at
    from sessions
    where user_id = ${userId} and ended_at is null and expires_at > now()
      and ${isAfterCursor}
    order by created_at desc, id desc
    limit ${limit}::int`;
}

/** Days for which an ended session is kept for inspection. */
const keptDays = 30;

/** Deletes sessions that ended before the retention time. @returns the number of deleted sessions */
export async function deleteOldSessions(sql: Sql): Promise<number> {
  const { count } = await sql`
    delete from sessions where least(ended_at, expires_at) < now() - ${keptDays}::int * interval '1 day'`;
  return count;
}
