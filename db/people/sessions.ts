/** Sign-ins of v2: each has a refresh token that is renewed with every use. */
import type { Sql } from "../pg/connect.ts";
import type { Role } from "./users.ts";

export interface SessionUser {
  id: string;
  email: string;
  fullname: string | null;
  roles: Role[];
}

/** The user of an access token as of now; undefined where the session, the user or the token's number has had its day. */
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
  /** Drawn by the database unless given. */
  id?: string;
  userId: string;
  tokenHash: Uint8Array;
  lifeSeconds: number;
  /** What the browser calls itself. */
  client: string;
}

/** A session, and the number that its access tokens must have. */
export interface OpenSession {
  id: string;
  version: number;
}

/** Begins a session of a user who is there. */
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
 * Begins a session with a password that was compared before.
 *
 * @returns undefined where the user has gone, is disabled or has another password by now: a change of it that is under
 *   way is waited for, and one that comes later ends this session with the others
 */
export async function insertSessionOf(
  sql: Sql,
  { id, userId, tokenHash, lifeSeconds, client, passwordHash }: Required<NewSession> & {
    passwordHash: string;
  },
): Promise<OpenSession | undefined> {
  const [row] = await sql<OpenSession[]>`
    with holder as (
      select id, token_version
      from users
      where id = ${userId} and is_active and hashed_password = ${passwordHash}
      for share
    ), begun as (
      insert into sessions (id, user_id, token_hash, expires_at, client)
      select ${id}, id, ${tokenHash}, now() + ${lifeSeconds}::int * interval '1 s', ${client} from holder
      returning id
    )
    select begun.id, holder.token_version as version from begun, holder`;
  return row;
}

/** Seconds for which the token before the last is still good: for two that renew at once, and for a lost answer. */
const graceSeconds = 10;

export interface Renewal {
  id: string;
  /** Of the token that was shown, and of the one that follows it. */
  shown: Uint8Array;
  next: Uint8Array;
}

export interface Renewed {
  user_id: string;
  version: number;
}

/** Puts the next token in the place of the one that was shown; undefined where that is not the one that is good now. */
export async function renewSession(sql: Sql, { id, shown, next }: Renewal): Promise<Renewed | undefined> {
  const [row] = await sql<Renewed[]>`
    update sessions s
    set previous_hash = s.token_hash, token_hash = ${next}, rotated_at = now()
    from users u
    where s.id = ${id} and u.id = s.user_id and u.is_active and s.token_hash = ${shown}
      and s.ended_at is null and s.expires_at > now()
    returning s.user_id, u.token_version as version`;
  return row;
}

/** The session whose token was renewed only now, from the one that was shown to the next. */
export async function findJustRenewed(sql: Sql, { id, shown, next }: Renewal): Promise<Renewed | undefined> {
  const [row] = await sql<Renewed[]>`
    select s.user_id, u.token_version as version
    from sessions s
    join users u on u.id = s.user_id
    where s.id = ${id} and u.is_active and s.previous_hash = ${shown} and s.token_hash = ${next}
      and s.ended_at is null and s.expires_at > now()
      and s.rotated_at > now() - ${graceSeconds}::int * interval '1 s'`;
  return row;
}

/** Ends a session whose token was used again after it had been renewed. @returns its user, where it was open */
export async function endReusedSession(sql: Sql, id: string, shown: Uint8Array): Promise<string | undefined> {
  const [row] = await sql<{ user_id: string }[]>`
    update sessions
    set ended_at = now(), end_reason = 'reuse'
    where id = ${id} and ended_at is null and expires_at > now() and token_hash <> ${shown}
    returning user_id`;
  return row?.user_id;
}

/** Ends one session of a user. @returns false where there is none that is open */
export async function endSession(
  sql: Sql,
  { userId, id }: { userId: string; id: string },
): Promise<boolean> {
  const { count } = await sql`
    update sessions
    set ended_at = now(), end_reason = 'signed_out'
    where id = ${id} and user_id = ${userId} and ended_at is null and expires_at > now()`;
  return count > 0;
}

export interface SessionRow {
  id: string;
  client: string;
  created_at: Date;
  rotated_at: Date;
  expires_at: Date;
}

/** Open sessions of a user, newest first. */
export async function listSessions(
  sql: Sql,
  { userId, before, limit }: { userId: string; before: [at: string, id: string] | undefined; limit: number },
): Promise<SessionRow[]> {
  const [at, id] = before ?? [null, null];
  return await sql<SessionRow[]>`
    select id, client, created_at, rotated_at, expires_at
    from sessions
    where user_id = ${userId} and ended_at is null and expires_at > now()
      and (${at}::timestamptz is null or (created_at, id) < (${at}::timestamptz, ${id}::uuid))
    order by created_at desc, id desc
    limit ${limit}::int`;
}

/** Days that a session which has ended is kept, to be looked into. */
const keptDays = 30;

/** Forgets sessions that ended long ago. @returns how many */
export async function forgetOldSessions(sql: Sql): Promise<number> {
  const { count } = await sql`
    delete from sessions where least(ended_at, expires_at) < now() - ${keptDays}::int * interval '1 day'`;
  return count;
}
