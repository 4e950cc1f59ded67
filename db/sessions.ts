/** Sign-ins of v2: each has a refresh token that is renewed with every use. */
import type { Sql } from "./connect.ts";
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
  userId: string;
  tokenHash: Uint8Array;
  lifeSeconds: number;
  /** What the browser calls itself. */
  client: string;
}

/** Begins a session; with it the number that its access tokens must have. */
export async function insertSession(
  sql: Sql,
  { userId, tokenHash, lifeSeconds, client }: NewSession,
): Promise<{ id: string; version: number }> {
  const [row] = await sql<{ id: string; version: number }[]>`
    insert into sessions (user_id, token_hash, expires_at, client)
    values (${userId}, ${tokenHash}, now() + ${lifeSeconds}::int * interval '1 s', ${client})
    returning id, (select token_version from users where id = ${userId}) as version`;
  return row!;
}
