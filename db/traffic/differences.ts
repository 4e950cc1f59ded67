/** Answers of both systems that were compared in the background, how they differ, and what may cause that. */
import { isUuid, isUuidOfAnyCase, taskUuidOf } from "../../uuid.ts";
import type { Sql } from "../pg/connect.ts";

/** A difference of one answer. */
export interface ShadowDifference {
  route: string;
  /** Place in the answer, with `*` for places in lists. */
  path: string;
  cause: string;
  rule: string;
  target: string;
  /** The value of the old backend and of this system, shortened and without secrets. */
  old: string;
  new: string;
}

export const shadowCauses = ["lag", "data", "code", "noise", "intended"] as const;

/** A kind of differences, as it is stored. */
export interface ShadowDifferenceRow {
  route: string;
  path: string;
  cause: (typeof shadowCauses)[number];
  rule: string;
  answers: number;
  first_at: string;
  last_at: string;
  sample_target: string;
  sample_old: string | null;
  sample_new: string | null;
}

const timeFormat = 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"';

/** Counts a compared answer. */
export async function saveShadowAnswer(sql: Sql, isEqual: boolean): Promise<void> {
  await sql`
    insert into migration.shadow_answers as a (hour, compared, equal)
    values (date_trunc('hour', now()), 1, ${isEqual ? 1 : 0})
    on conflict (hour) do update
    set compared = a.compared + 1, equal = a.equal + excluded.equal`;
}

/** Replaces what PostgreSQL cannot store: NUL, and half of a pair of surrogates, as where a text was cut. */
const toStorable = (text: string): string => text.toWellFormed().replaceAll("\0", "\ufffd");

/** Stores the differences of one answer: each kind once, with the latest values. */
export async function saveShadowDifferences(
  sql: Sql,
  differences: readonly ShadowDifference[],
): Promise<void> {
  if (differences.length === 0) return;
  const storable = differences.map((difference) =>
    Object.fromEntries(Object.entries(difference).map(([name, text]) => [name, toStorable(text)]))
  );
  await sql`
    insert into migration.shadow_differences as d
      (route, path, cause, rule, sample_target, sample_old, sample_new)
    select distinct on (n.route, n.path, n.cause, n.rule)
      n.route, n.path, n.cause, n.rule, n.target, n.old, n.new
    from json_to_recordset(${JSON.stringify(storable)}::text::json)
      as n (route text, path text, cause text, rule text, target text, old text, new text)
    -- The same order everywhere, so that processes that store at once do not wait for each other.
    order by n.route, n.path, n.cause, n.rule
    on conflict (route, path, cause, rule) do update
    set answers = d.answers + 1, last_at = now(), sample_target = excluded.sample_target,
      sample_old = excluded.sample_old, sample_new = excluded.sample_new`;
}

/** Lists the differences: those that nothing explains first, then the latest. */
export async function listShadowDifferences(sql: Sql, limit: number): Promise<ShadowDifferenceRow[]> {
  return await sql<ShadowDifferenceRow[]>`
    select route, path, cause, rule, answers::float8 as answers,
      to_char(first_at at time zone 'UTC', ${timeFormat}) as first_at,
      to_char(last_at at time zone 'UTC', ${timeFormat}) as last_at, sample_target, sample_old, sample_new
    from migration.shadow_differences
    order by array_position('{code,data,lag,noise,intended}', cause), last_at desc, route, path, rule
    limit ${limit}`;
}

/** Numbers of compared answers. */
export interface ShadowCounts {
  compared: number;
  equal: number;
  /** Kinds of differences with the cause `code` or `data`. */
  unexplained: number;
}

/** Counts the answers that were compared in the last hours, this one included. */
export async function readShadowCounts(sql: Sql, hours: number): Promise<ShadowCounts> {
  const since = sql`date_trunc('hour', now()) - ${hours - 1}::int * interval '1 hour'`;
  const [row] = await sql<ShadowCounts[]>`
    select coalesce(sum(compared), 0)::float8 as compared, coalesce(sum(equal), 0)::float8 as equal,
      (
        select count(*) from migration.shadow_differences
        where cause in ('code', 'data') and last_at >= ${since}
      )::float8 as unexplained
    from migration.shadow_answers
    where hour >= ${since}`;
  return row!;
}

/** How far this system follows. */
export interface FollowedPosition {
  /** Whether a sync applies changes now. */
  isFollowing: boolean;
  /** Time up to which all changes are applied, in ms since 1970; null before the first one. */
  atMs: number | null;
}

/** Age of the last applied batch from which a sync counts as stopped, in seconds. */
const silentSecondsMax = 60;

/** Returns how far this system follows; undefined if it does not. */
export async function readFollowedPosition(sql: Sql): Promise<FollowedPosition | undefined> {
  const [row] = await sql<FollowedPosition[]>`
    select state in ('following', 'gap') and applied_at > now() - ${silentSecondsMax}::int * interval '1 s'
        as "isFollowing",
      (extract(epoch from position_at) * 1000)::float8 as "atMs"
    from migration.follows
    where state <> 'ended'`;
  return row;
}

const uuidOfTask = (id: string): string =>
  isUuid(id) ? id : isUuidOfAnyCase(id) ? id.toLowerCase() : taskUuidOf(id);

/** Returns those of the task ids that belong to documents of the generations that the old backend does not list. */
export async function findHiddenTasks(sql: Sql, ids: readonly string[]): Promise<Set<string>> {
  if (ids.length === 0) return new Set();
  const byUuid = new Map(ids.map((id) => [uuidOfTask(id), id]));
  const rows = await sql<{ id: string }[]>`
    select id from tasks where id = any (${[...byUuid.keys()]}::uuid[]) and generation in ('T1', 'T2')`;
  return new Set(rows.map(({ id }) => byUuid.get(id)!));
}

/** Quarantined documents that are searched for an id, the latest ones. */
const searchedMax = 10_000;

/**
 * Returns why the rows of some objects differ from their documents: a document waits for its row or is in quarantine,
 * or the last verification found it different. Undefined if nothing of it is known.
 *
 * @param ids of tasks, subtasks and users, as v1 answers them
 * @param collection whose number of documents the question is about, if it is
 */
export async function findDataCause(
  sql: Sql,
  ids: readonly string[],
  collection: string | undefined,
): Promise<string | undefined> {
  // Documents have no other ids: MongoDB and JSON hold texts as UTF-8.
  const known = ids.filter((id) => toStorable(id) === id);
  const hexIds = known.filter((id) => /^[0-9a-f]{24}$/.test(id));
  const uuids = [...new Set(known.map(uuidOfTask))];
  const counted = collection ?? null;
  const [row] = await sql<{ rule: string }[]>`
    with ids as materialized (
      select convert_to(id, 'UTF8') as bytes from unnest(${known}::text[]) as i (id)
      union all
      select decode(id, 'hex') from unnest(${hexIds}::text[]) as i (id)
    ), verified as materialized (
      select collection, document_id, substring(document_id from '^[{]"[$]oid":"([0-9a-f]{24})"[}]$') as legacy_id
      from migration.rechecks
      where verification_id = (select max(id) from migration.live_verifications) and comparisons >= 3
    )
    select 'a document waits for its row: ' || w.reason as rule
    from migration.waiting w
    where w.collection = ${counted} or exists (select from ids i where position(i.bytes in w.original) > 0)
    union all
    select 'a document is in quarantine: ' || q.reason
    from (
      select collection, reason, original, has_row
      from migration.quarantine
      order by id desc
      limit ${searchedMax}
    ) q
    where q.collection = ${counted} and not q.has_row
      or exists (select from ids i where position(i.bytes in q.original) > 0)
    union all
    select 'a row differs in the last verification'
    from verified v
    where v.collection = ${counted} or v.legacy_id = any (${hexIds}::text[])
      or v.collection = 'tasks' and exists (
        select from tasks t where t.legacy_id = v.legacy_id and t.id = any (${uuids}::uuid[])
      )
      or v.collection = 'dramatiq_tasks' and exists (
        select
        from subtasks s
        where s.parent_task_id = any (${uuids}::uuid[]) and s.legacy_id = v.legacy_id
      )
    limit 1`;
  return row?.rule;
}
