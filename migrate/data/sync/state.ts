/** Statements on the followed source: its position, its state, its gaps. */
import type { Following } from "../../../db/migration/following.ts";
import type { Sql } from "../../../db/pg/connect.ts";

export type FollowMode = Following["mode"];
export type FollowState = Following["state"];

/** The row of migration.follows. Times are ISO texts in UTC. */
export interface Follow {
  fingerprint: string;
  source_identity: string;
  mode: FollowMode;
  state: FollowState;
  stop_reason: string | null;
  resume_token: string | null;
  /** Cluster time as text; while polling, the time of the server's clock. */
  position: string | null;
  position_at: string | null;
  applied_at: string;
  copied_at: string | null;
}

/** The progress that a batch stores in its transaction. */
export interface Progress {
  token: string | null;
  position: bigint | null;
  /** See lagOf(). */
  lagMs: number;
  events: number;
  documents: number;
}

const secondsOf = (position: bigint | null) => position === null ? null : Number(position >> 32n);

/** Returns the followed source, if there is one. */
export async function findFollow(sql: Sql): Promise<Follow | undefined> {
  const iso = (column: string) => sql`to_char(${sql(column)}, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;
  const [row] = await sql<Follow[]>`
    select fingerprint, source_identity, mode, state, stop_reason, resume_token, position::text as position,
      ${iso("position_at")} as position_at, ${iso("applied_at")} as applied_at, ${
    iso("copied_at")
  } as copied_at
    from migration.follows`;
  return row;
}

/** Begins to follow a source: its row in the ledger, and the position from which its changes are applied later. */
export async function insertFollow(
  sql: Sql,
  { fingerprint, identity, location, mode, position }: {
    fingerprint: string;
    identity: string;
    location: string;
    mode: FollowMode;
    position: bigint | null;
  },
): Promise<void> {
  await sql`
    insert into migration.sources (fingerprint, kind, location)
    values (${fingerprint}, 'followed', ${location})
    on conflict (fingerprint) do nothing`;
  await sql`
    insert into migration.follows (fingerprint, source_identity, mode, position, position_at)
    values (${fingerprint}, ${identity}, ${mode}, ${position === null ? null : String(position)},
      to_timestamp(${secondsOf(position)}::float8))`;
}

/** Time without progress after which nobody knows how far the rows are behind, in seconds. */
const silentSeconds = 5;

/** Stores the progress of a batch. */
export async function saveProgress(sql: Sql, progress: Progress): Promise<void> {
  const { token, position, lagMs, events, documents } = progress;
  await sql`
    update migration.follows
    set resume_token = coalesce(${token}, resume_token),
      position = coalesce(${position === null ? null : String(position)}::bigint, position),
      position_at = coalesce(to_timestamp(${secondsOf(position)}::float8), position_at),
      behind_at = case when ${lagMs}::float8 >= 1000 or applied_at < now() - ${silentSeconds}::int * interval '1 s'
        then now() else behind_at end,
      lag_ms = ${lagMs}::float8, applied_at = now(),
      events = events + ${events}, documents = documents + ${documents}`;
}

/** Sets the state of the followed source. */
export async function setFollowState(
  sql: Sql,
  state: FollowState,
  reason: string | null = null,
): Promise<void> {
  await sql`
    update migration.follows
    set state = ${state}, stop_reason = ${reason},
      copied_at = case when ${state} = 'following' then coalesce(copied_at, now()) else copied_at end`;
}

/** Stores the time back to which a full oplog reaches. */
export async function saveOplogFrom(sql: Sql, seconds: number): Promise<void> {
  await sql`
    update migration.follows
    set oplog_from = to_timestamp(${seconds}::float8), oplog_read_at = now()`;
}

/** Stores how many events and documents a second this process applies. */
export async function saveRates(
  sql: Sql,
  { events, documents }: { events: number; documents: number },
): Promise<void> {
  await sql`
    update migration.follows
    set events_per_second = ${events}::float8, documents_per_second = ${documents}::float8`;
}

/** Records that the position was lost, and the position at which the source will be followed again. */
export async function openGap(sql: Sql, reason: string, position: bigint | null): Promise<void> {
  await sql`
    insert into migration.gaps (reason, lost_at, resumed_at)
    select ${reason}, position_at, to_timestamp(${secondsOf(position)}::float8)
    from migration.follows`;
  await sql`
    update migration.follows
    set state = 'gap', stop_reason = null, resume_token = null,
      position = ${position === null ? null : String(position)}::bigint,
      position_at = to_timestamp(${secondsOf(position)}::float8)`;
}

/** Records that all open gaps were healed. */
export async function closeGaps(sql: Sql, { compared, applied }: { compared: number; applied: number }) {
  await sql`
    update migration.gaps
    set healed_at = now(), compared = ${compared}, applied = ${applied}
    where healed_at is null`;
}

/** Finishes a range of the first copy. */
export async function insertCopiedRange(
  sql: Sql,
  range: { collection: string; number: number; lower: string; upper: string; documents: number },
): Promise<void> {
  const { collection, number, lower, upper, documents } = range;
  await sql`
    insert into migration.follow_ranges (collection, number, lower_bound, upper_bound, documents, done_at)
    values (${collection}, ${number}, ${lower}, ${upper}, ${documents}, now())`;
}

/** Returns the last copied range of a collection. */
export async function findLastRange(sql: Sql, collection: string) {
  const [row] = await sql<{ number: number; upper: string }[]>`
    select number, upper_bound as upper
    from migration.follow_ranges
    where collection = ${collection}
    order by number desc
    limit 1`;
  return row;
}
