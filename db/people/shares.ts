/** Links to one task for who has no account. */
import type { Sql } from "../pg/connect.ts";

export interface OpenShare {
  id: string;
  taskId: string;
  mode: "read" | "rate";
  blind: boolean;
}

/** The share of a token, while it is good. */
export async function findShare(sql: Sql, tokenHash: Uint8Array): Promise<OpenShare | undefined> {
  const [row] = await sql<OpenShare[]>`
    select s.id, s.task_id as "taskId", s.mode, s.blind
    from shares s
    join tasks t on t.id = s.task_id
    where s.token_hash = ${tokenHash} and s.revoked_at is null and s.expires_at > now() and not t.is_deleted`;
  return row;
}

/** As its owner sees it. */
export interface ShareRow {
  id: string;
  label: string;
  mode: "read" | "rate";
  blind: boolean;
  /** Whose account made it: the e-mail; null once that is gone. */
  created_by: string | null;
  created_at: Date;
  expires_at: Date;
  revoked_at: Date | null;
}

const shareColumns = (sql: Sql) =>
  sql`s.id, s.label, s.mode, s.blind, u.email as created_by, s.created_at, s.expires_at, s.revoked_at`;

/** Who may do something to a task: an admin, or the one whose e-mail it was submitted under. */
export interface Actor {
  id: string;
  email: string;
  isAdmin: boolean;
}

/**
 * Locks a task for its owner or an admin, until the transaction ends.
 *
 * @returns whether it is theirs to change; undefined where it is gone
 */
export async function lockOwnTask(
  sql: Sql,
  taskId: string,
  { email, isAdmin }: Actor,
): Promise<boolean | undefined> {
  const [row] = await sql<{ owned: boolean }[]>`
    select ${isAdmin} or username = ${email} as owned
    from tasks
    where id = ${taskId} and not is_deleted
    for no key update`;
  return row?.owned;
}

export interface NewShare {
  id: string;
  taskId: string;
  tokenHash: Uint8Array;
  label: string;
  mode: "read" | "rate";
  blind: boolean;
  createdBy: string;
  lifeSeconds: number;
}

/** The task must be locked. @returns undefined where it has `sharesMax` that are good already */
export async function insertShare(
  sql: Sql,
  { id, taskId, tokenHash, label, mode, blind, createdBy, lifeSeconds }: NewShare,
  sharesMax: number,
): Promise<ShareRow | undefined> {
  const [row] = await sql<ShareRow[]>`
    with s as (
      insert into shares (id, task_id, token_hash, label, mode, blind, created_by, expires_at)
      select ${id}, ${taskId}, ${tokenHash}, ${label}, ${mode}, ${blind}, ${createdBy},
        now() + ${lifeSeconds}::int * interval '1 s'
      where (
        select count(*) from shares where task_id = ${taskId} and revoked_at is null and expires_at > now()
      ) < ${sharesMax}::int
      returning *
    )
    select ${shareColumns(sql)} from s left join users u on u.id = s.created_by`;
  return row;
}

/** The shares of a task, newest first. @param before created_at and id of the last that was shown */
export async function listShares(
  sql: Sql,
  { taskId, before, limit }: { taskId: string; before: [string, string] | undefined; limit: number },
): Promise<ShareRow[]> {
  return await sql<ShareRow[]>`
    select ${shareColumns(sql)}
    from shares s
    left join users u on u.id = s.created_by
    where s.task_id = ${taskId}
      and ${before ? sql`(s.created_at, s.id) < (${before[0]}::timestamptz, ${before[1]}::uuid)` : sql`true`}
    order by s.created_at desc, s.id desc
    limit ${limit}`;
}

/**
 * Ends a share for its task's owner or an admin; one that has ended stays as it was.
 *
 * @returns false where the task has no such share, or it is not theirs
 */
export async function revokeShare(
  sql: Sql,
  { taskId, shareId, actor }: { taskId: string; shareId: string; actor: Actor },
): Promise<boolean> {
  const rows = await sql`
    update shares s
    set revoked_at = coalesce(s.revoked_at, now())
    from tasks t
    where s.id = ${shareId} and s.task_id = ${taskId} and t.id = s.task_id and not t.is_deleted
      and (${actor.isAdmin} or t.username = ${actor.email})
    returning 1`;
  return rows.length > 0;
}

/** What a share is for, told to who holds it. */
export interface ShareAbout {
  id: string;
  label: string;
  mode: "read" | "rate";
  blind: boolean;
  expires_at: Date;
  task_id: string;
  task_name: string;
}

export async function findShareAbout(sql: Sql, id: string): Promise<ShareAbout | undefined> {
  const [row] = await sql<ShareAbout[]>`
    select s.id, s.label, s.mode, s.blind or t.blind as blind, s.expires_at, s.task_id, t.task_name
    from shares s
    join tasks t on t.id = s.task_id
    where s.id = ${id}`;
  return row;
}
