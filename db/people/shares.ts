/** Shares: links to one task for people without an account. */
import type { Sql } from "../pg/connect.ts";
import { type Actor, mayChange } from "./task_access.ts";

export interface OpenShare {
  id: string;
  taskId: string;
  mode: "read" | "rate";
  blind: boolean;
}

/** Finds the share of a token, unless it was revoked or has expired or its task was deleted. */
export async function findShare(sql: Sql, tokenHash: Uint8Array): Promise<OpenShare | undefined> {
  const [row] = await sql<OpenShare[]>`
    select s.id, s.task_id as "taskId", s.mode, s.blind
    from shares s
    join tasks t on t.id = s.task_id
    where s.token_hash = ${tokenHash} and s.revoked_at is null and s.expires_at > now() and not t.is_deleted`;
  return row;
}

/** A share as the owner of the task sees it. */
export interface ShareRow {
  id: string;
  label: string;
  mode: "read" | "rate";
  blind: boolean;
  /** E-mail of the user who created it; null if that user was deleted. */
  created_by: string | null;
  created_at: Date;
  expires_at: Date;
  revoked_at: Date | null;
}

const shareColumns = (sql: Sql) =>
  sql`s.id, s.label, s.mode, s.blind, u.email as created_by, s.created_at, s.expires_at, s.revoked_at`;

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

/**
 * Inserts a share. The task must be locked.
 *
 * @returns undefined if the task has `sharesMax` valid shares already
 */
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

/**
 * Lists the shares of a task, newest first.
 *
 * @param before `created_at` and `id` of the last share of the previous page
 */
export async function listShares(
  sql: Sql,
  { taskId, before, limit }: { taskId: string; before: [string, string] | undefined; limit: number },
): Promise<ShareRow[]> {
  const isAfterCursor = before
    ? sql`(s.created_at, s.id) < (${before[0]}::timestamptz, ${before[1]}::uuid)`
    : sql`true`;
  return await sql<ShareRow[]>`
    select ${shareColumns(sql)}
    from shares s
    left join users u on u.id = s.created_by
    where s.task_id = ${taskId} and ${isAfterCursor}
    order by s.created_at desc, s.id desc
    limit ${limit}`;
}

/**
 * Revokes a share if the actor may change its task. A revoked share keeps its earlier time.
 *
 * @returns false if the task has no such share, or the actor may not change the task
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
      and ${mayChange(sql, actor, sql`t.username`)}
    returning 1`;
  return rows.length > 0;
}

/** A share as its holder sees it. */
export interface ShareAbout {
  id: string;
  label: string;
  mode: "read" | "rate";
  blind: boolean;
  expires_at: Date;
  task_id: string;
  task_name: string;
}

/** Finds a share with its task. */
export async function findShareAbout(sql: Sql, id: string): Promise<ShareAbout | undefined> {
  const [row] = await sql<ShareAbout[]>`
    select s.id, s.label, s.mode, s.blind or t.blind as blind, s.expires_at, s.task_id, t.task_name
    from shares s
    join tasks t on t.id = s.task_id
    where s.id = ${id}`;
  return row;
}
