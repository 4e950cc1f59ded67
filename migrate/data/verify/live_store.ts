/** Statements on a verification of a followed source: its checkpoints, its rechecks and its result. */
import type { Sql } from "../../../db/pg/connect.ts";
import type { Collection } from "../documents/source.ts";
import { toStorable } from "../documents/ejson_write.ts";
import { failpoint } from "../tools/failpoint.ts";
import { acquireLock } from "./checkpoint.ts";
import type { DifferingDocument, LiveComparison } from "./live_differences.ts";
import type { Mismatch } from "./mismatch.ts";

/** First key of the advisory lock of a live verification; the second is its id. */
const lockKey = 0x636f6e79;

/** Comparisons after which a document that was found different each time counts as different. */
export const comparisonsMax = 3;
/** Changes after which a document is no longer compared: sync writes its row anew all the time. */
export const changesMax = 40;
/** Sync retries waiting documents at least this often, so an untrue reason counts only after it, in seconds. */
const waitingSeconds = 40;

/** A running verification. */
export interface LiveVerification {
  id: string;
  /** Start of the first run, ISO 8601. */
  since: string;
  isResumed: boolean;
}

/** How far a collection was compared. */
export interface LiveCheckpoint {
  bound: string;
  rowsBound: string;
  documents: number;
  isDone: boolean;
}

/** A document to compare again. */
export interface Recheck {
  documentId: string;
  key: Uint8Array;
  version: string;
}

/** Resumes the last verification if it was interrupted and no other session runs it. Otherwise begins a new one. */
export async function openLiveVerification(
  sql: Sql,
  fingerprint: string,
  again: boolean,
): Promise<LiveVerification> {
  const since = sql`to_char(started_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since`;
  const [last] = again ? [] : await sql<{ id: string; since: string }[]>`
    select id::text as id, ${since}
    from migration.live_verifications
    where id = (select max(id) from migration.live_verifications) and fingerprint = ${fingerprint}
      and ended_at is null`;
  if (last && await acquireLock(sql, lockKey, last.id)) {
    return { id: last.id, since: last.since, isResumed: true };
  }
  const [created] = await sql<{ id: string; since: string }[]>`
    insert into migration.live_verifications (fingerprint)
    values (${fingerprint})
    returning id::text as id, ${since}`;
  await acquireLock(sql, lockKey, created!.id);
  failpoint("live.begun");
  return { id: created!.id, since: created!.since, isResumed: false };
}

/** Returns how far a collection was compared. */
export async function readLiveCheckpoint(
  sql: Sql,
  id: string,
  collection: Collection,
): Promise<LiveCheckpoint> {
  const [row] = await sql<LiveCheckpoint[]>`
    select bound, rows_bound as "rowsBound", documents::float8 as documents, done as "isDone"
    from migration.live_checkpoints
    where verification_id = ${id} and collection = ${collection}`;
  return row ?? { bound: "", rowsBound: "", documents: 0, isDone: false };
}

const toStorableText = (text: string | null): string | null => text && toStorable(text);

const toJson = (mismatches: readonly Mismatch[]): string =>
  JSON.stringify(mismatches.map(({ kind, path, source_value, row_value, cause }) => ({
    kind,
    path: toStorable(path),
    source_value: toStorableText(source_value),
    row_value: toStorableText(row_value),
    cause,
  })));

/** Puts documents on the list of those that are compared again. */
async function insertRechecks(
  sql: Sql,
  id: string,
  collection: Collection,
  differing: readonly DifferingDocument[],
  position: bigint,
): Promise<void> {
  const documentIds = differing.map(({ documentId }) => documentId);
  const keys = differing.map(({ key }) => key.toBase64());
  const versions = differing.map(({ version }) => version);
  const differences = differing.map(({ mismatches }) => toJson(mismatches));
  const inserted = await sql`
    insert into migration.rechecks
      (verification_id, collection, document_id, document_key, version, differences, seen_position)
    select ${id}, ${collection}, d.id, decode(d.key, 'base64'), d.version, d.differences::json,
      ${String(position)}::bigint
    from unnest(${documentIds}::text[], ${keys}::text[], ${versions}::text[], ${differences}::text[])
      as d (id, key, version, differences)
    on conflict (verification_id, collection, document_id) do nothing`;
  await sql`
    update migration.live_verifications
    set rechecked = rechecked + ${inserted.count}
    where id = ${id}`;
}

/** Stores the result of a comparison and how far the collection has come, in one transaction. */
export async function saveComparison(
  sql: Sql,
  id: string,
  collection: Collection,
  { documents, rows, quarantined, waiting, differing }: LiveComparison,
  { position, checkpoint }: { position: bigint; checkpoint: LiveCheckpoint | undefined },
): Promise<void> {
  await sql`begin`;
  if (differing.length > 0) await insertRechecks(sql, id, collection, differing, position);
  if (checkpoint) {
    const { bound, rowsBound, isDone } = checkpoint;
    await sql`
      insert into migration.live_checkpoints (verification_id, collection, bound, rows_bound, documents, done)
      values (${id}, ${collection}, ${bound}, ${rowsBound}, ${checkpoint.documents}, ${isDone})
      on conflict (verification_id, collection) do update
      set bound = excluded.bound, rows_bound = excluded.rows_bound, documents = excluded.documents,
        done = excluded.done`;
    await sql`
      update migration.live_verifications
      set documents = documents + ${documents}, rows = rows + ${rows}, quarantined = quarantined + ${quarantined},
        waiting = waiting + ${waiting}
      where id = ${id}`;
  }
  failpoint("live.before_commit");
  await sql`commit`;
  failpoint("live.committed");
}

/** Lists documents of one collection that can be compared again. */
export async function listDue(
  sql: Sql,
  id: string,
  collection: Collection,
  isPolled: boolean,
): Promise<Recheck[]> {
  // Sync stores its position also while nothing changes, so a position that was stored after the comparison proves
  // that everything up to it is applied. While polling, a position only means its whole second.
  const isApplied = isPolled
    ? sql`f.position > r.seen_position`
    : sql`(f.position > r.seen_position or (f.position = r.seen_position and f.applied_at > r.seen_at))`;
  return await sql<Recheck[]>`
    select r.document_id as "documentId", r.document_key as key, r.version
    from migration.rechecks r
    cross join migration.follows f
    where r.verification_id = ${id} and r.collection = ${collection} and ${isApplied}
      and r.comparisons < ${comparisonsMax} and r.changes < ${changesMax}
    order by r.seen_position
    limit 500`;
}

/** Stores the result of comparing documents again: equal ones leave the list, different ones are counted. */
export async function saveRechecks(
  sql: Sql,
  id: string,
  collection: Collection,
  { compared, differing, position }: {
    compared: readonly Recheck[];
    differing: readonly DifferingDocument[];
    position: bigint;
  },
): Promise<void> {
  const different = new Set(differing.map(({ documentId }) => documentId));
  const equal = compared.map(({ documentId }) => documentId).filter((id) => !different.has(id));
  const documentIds = differing.map(({ documentId }) => documentId);
  const versions = differing.map(({ version }) => version);
  const differences = differing.map(({ mismatches }) => toJson(mismatches));
  const isWaiting = differing.map(({ mismatches }) =>
    String(mismatches.every(({ row_value }) => row_value?.startsWith("waiting ") ?? false))
  );
  await sql`begin`;
  await sql`
    delete from migration.rechecks
    where verification_id = ${id} and collection = ${collection} and document_id = any (${equal}::text[])`;
  failpoint("live.equal_removed");
  await sql`
    update migration.rechecks r
    set comparisons = case
        when r.version <> d.version then 1
        when d.is_waiting::boolean and r.comparisons = ${comparisonsMax - 1}
          and r.first_seen_at > now() - ${waitingSeconds}::int * interval '1 s' then r.comparisons
        else r.comparisons + 1
      end,
      changes = r.changes + (r.version <> d.version)::int,
      version = d.version, differences = d.differences::json, seen_position = ${String(position)}::bigint,
      seen_at = now()
    from unnest(${documentIds}::text[], ${versions}::text[], ${differences}::text[], ${isWaiting}::text[])
      as d (id, version, differences, is_waiting)
    where r.verification_id = ${id} and r.collection = ${collection} and r.document_id = d.id`;
  failpoint("live.rechecks_updated");
  await sql`commit`;
  failpoint("live.rechecks_committed");
}
