/** Statements on schema `migration`: sources, runs, ranges and the entries of single documents. */
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { failpoint } from "../tools/failpoint.ts";
import { toStorable } from "../documents/ejson_write.ts";
import type { Collection, Range, Source } from "../documents/source.ts";

/** Number of documents of a range by outcome. */
export interface Tally {
  exact: number;
  adjusted: number;
  quarantined: number;
  excluded: number;
}

/** A document that the lens rejected, with its bytes. */
export interface QuarantineEntry {
  position: number;
  document_id: string;
  reason: string;
  path: string;
  detail: string;
  original: Uint8Array;
}

/** A document that a rule leaves out of the load. */
export interface ExclusionEntry {
  position: number;
  document_id: string;
  rule: string;
}

/** A change of one value, made by a rule of the lens. */
export interface AdjustmentEntry {
  position: number;
  row_id: string;
  rule: string;
  path: string;
}

/** The bytes of a document that its row cannot reproduce. */
export interface OriginalEntry {
  position: number;
  row_id: string;
  original: Uint8Array;
}

/** Ledger entries of a batch of documents. */
export interface LedgerEntries {
  tally: Tally;
  quarantined: QuarantineEntry[];
  excluded: ExclusionEntry[];
  adjusted: AdjustmentEntry[];
  originals: OriginalEntry[];
}

/** Returns whether the load of a source is settled, or undefined for an unknown source. */
export async function findSource(sql: Sql, fingerprint: string) {
  const [source] = await sql<{ settled: boolean }[]>`
    select settled_at is not null as settled
    from migration.sources
    where fingerprint = ${fingerprint}`;
  return source;
}

/** Inserts a source and its ranges. */
export async function insertPlan(sql: Sql, source: Source, fingerprint: string, ranges: Range[]) {
  await sql`
    insert into migration.sources (fingerprint, kind, location)
    values (${fingerprint}, ${source.kind}, ${source.location})`;
  failpoint("plan.source_inserted");
  await sql`
    insert into migration.ranges
      (fingerprint, collection, number, lower_bound, upper_bound, first_position, documents, bytes)
    select ${fingerprint}, r.collection, r.number, r.lower, r.upper, r."firstPosition", r.documents, r.bytes
    from jsonb_to_recordset(${sql.json(ranges as unknown as postgres.JSONValue)}) as r (
      collection text, number integer, lower text, upper text, "firstPosition" bigint, documents integer,
      bytes bigint
    )`;
  failpoint("plan.ranges_inserted");
}

/**
 * Lists the ranges of a source in load order.
 *
 * @param options.planned restricts the list to ranges that are not loaded yet
 */
export async function listRanges(
  sql: Sql,
  fingerprint: string,
  { planned }: { planned: boolean },
): Promise<Range[]> {
  const rows = await sql`
    select collection, number, lower_bound as lower, upper_bound as upper,
      first_position::float8 as "firstPosition", documents, bytes::float8 as bytes
    from migration.ranges
    where fingerprint = ${fingerprint}
      and (not ${planned} or state = 'planned')
    order by array_position('{users,tasks,dramatiq_tasks}'::text[], collection), number`;
  return rows as unknown as Range[];
}

/** Inserts a run and returns its id. Closes runs that a killed process left open. */
export async function insertRun(sql: Sql, fingerprint: string): Promise<string> {
  // The caller holds the migrator lock, so no other run is alive.
  await sql`
    update migration.runs
    set state = 'failed', ended_at = now(), note = 'killed'
    where state = 'running'`;
  const [run] = await sql`
    insert into migration.runs (fingerprint) values (${fingerprint}) returning id`;
  return run!.id;
}

/** Closes a run that is still open. */
export async function finishRun(
  sql: Sql,
  id: string,
  state: "done" | "stopped" | "failed",
  note: string | null = null,
) {
  await sql`
    update migration.runs
    set state = ${state}, ended_at = now(), note = ${note}
    where id = ${id} and state = 'running'`;
}

/** Marks a planned range as done and stores its counts. Reports whether it was still planned. */
export async function finishRange(
  sql: Sql,
  { fingerprint, range, tally, digest, runId }: {
    fingerprint: string;
    range: Range;
    tally: Tally;
    digest: string;
    runId: string;
  },
): Promise<boolean> {
  const done = await sql`
    update migration.ranges
    set state = 'done', done_at = now(), run_id = ${runId}, digest = ${digest}, exact = ${tally.exact},
      adjusted = ${tally.adjusted}, quarantined = ${tally.quarantined}, excluded = ${tally.excluded}
    where fingerprint = ${fingerprint} and collection = ${range.collection} and number = ${range.number}
      and state = 'planned'`;
  return done.count === 1;
}

/** Approximate maximum of original bytes that one statement sends. */
const originalBytesMax = 8 * 1024 * 1024;
const entriesMax = 1000;

/** Splits entries into chunks of limited size. */
function* chunk<T extends { original: Uint8Array }>(entries: T[]): Generator<T[]> {
  let part: T[] = [];
  let bytes = 0;
  for (const entry of entries) {
    part.push(entry);
    bytes += entry.original.length;
    if (bytes > originalBytesMax || part.length >= entriesMax) {
      yield part;
      part = [];
      bytes = 0;
    }
  }
  if (part.length > 0) yield part;
}

async function insertQuarantined(sql: Sql, fingerprint: string, range: Range, entries: QuarantineEntry[]) {
  const { collection, number } = range;
  const positions = entries.map((entry) => entry.position);
  const ids = entries.map((entry) => entry.document_id);
  const reasons = entries.map((entry) => entry.reason);
  const paths = entries.map((entry) => toStorable(entry.path));
  const details = entries.map((entry) => toStorable(entry.detail));
  const originals = entries.map((entry) => entry.original.toBase64());
  await sql`
    insert into migration.quarantine
      (fingerprint, collection, range_number, position, document_id, reason, path, detail, original)
    select ${fingerprint}, ${collection}, ${number}, q.position, q.id, q.reason, q.path, q.detail,
      decode(q.original, 'base64')
    from unnest(
      ${positions}::bigint[], ${ids}::text[], ${reasons}::text[], ${paths}::text[], ${details}::text[],
      ${originals}::text[]
    ) as q (position, id, reason, path, detail, original)`;
}

async function insertOriginals(sql: Sql, fingerprint: string, range: Range, entries: OriginalEntry[]) {
  const { collection, number } = range;
  const positions = entries.map((entry) => entry.position);
  const ids = entries.map((entry) => entry.row_id);
  const originals = entries.map((entry) => entry.original.toBase64());
  await sql`
    insert into migration.originals (fingerprint, collection, range_number, position, row_id, original)
    select ${fingerprint}, ${collection}, ${number}, o.position, o.id, decode(o.original, 'base64')
    from unnest(${positions}::bigint[], ${ids}::uuid[], ${originals}::text[]) as o (position, id, original)`;
}

async function insertAdjustments(sql: Sql, fingerprint: string, range: Range, entries: AdjustmentEntry[]) {
  const { collection, number } = range;
  const positions = entries.map((entry) => entry.position);
  const ids = entries.map((entry) => entry.row_id);
  const rules = entries.map((entry) => entry.rule);
  const paths = entries.map((entry) => toStorable(entry.path));
  await sql`
    insert into migration.adjustments (fingerprint, collection, range_number, position, row_id, rule, path)
    select ${fingerprint}, ${collection}, ${number}, a.position, a.id, a.rule, a.path
    from unnest(
      ${positions}::bigint[], ${ids}::uuid[], ${rules}::text[], ${paths}::text[]
    ) as a (position, id, rule, path)`;
}

async function insertExclusions(sql: Sql, fingerprint: string, range: Range, entries: ExclusionEntry[]) {
  const { collection, number } = range;
  const positions = entries.map((entry) => entry.position);
  const ids = entries.map((entry) => entry.document_id);
  const rules = entries.map((entry) => entry.rule);
  await sql`
    insert into migration.exclusions (fingerprint, collection, range_number, position, document_id, rule)
    select ${fingerprint}, ${collection}, ${number}, e.position, e.id, e.rule
    from unnest(${positions}::bigint[], ${ids}::text[], ${rules}::text[]) as e (position, id, rule)`;
}

/** Inserts the ledger entries of a batch. */
export async function insertEntries(sql: Sql, fingerprint: string, range: Range, entries: LedgerEntries) {
  const { quarantined, originals, adjusted, excluded } = entries;
  for (const part of chunk(quarantined)) await insertQuarantined(sql, fingerprint, range, part);
  if (quarantined.length > 0) failpoint("entries.quarantined");
  for (const part of chunk(originals)) {
    await insertOriginals(sql, fingerprint, range, part);
    failpoint("entries.originals");
  }
  if (adjusted.length > 0) {
    await insertAdjustments(sql, fingerprint, range, adjusted);
    failpoint("entries.adjusted");
  }
  if (excluded.length > 0) {
    await insertExclusions(sql, fingerprint, range, excluded);
    failpoint("entries.excluded");
  }
}

/** Lists the quarantined documents of a range. */
export async function listQuarantined(sql: Sql, fingerprint: string, collection: Collection, range: number) {
  return await sql<{ position: number; reason: string; original: Uint8Array | null }[]>`
    select position::float8 as position, reason, original
    from migration.quarantine
    where fingerprint = ${fingerprint} and collection = ${collection} and range_number = ${range}`;
}

/** Lists the ranges of a source that have quarantined documents, as `collection/number`. */
export async function listQuarantinedRanges(sql: Sql, fingerprint: string): Promise<Set<string>> {
  const rows = await sql`
    select distinct collection || '/' || range_number as range
    from migration.quarantine
    where fingerprint = ${fingerprint}`;
  return new Set(rows.map(({ range }) => range));
}
