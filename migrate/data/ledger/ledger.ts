/** Statements on schema `migration`: what was planned, what came of it. */
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { Collection, Range, Source } from "../documents/source.ts";

/** How the documents of a range ended. */
export interface Tally {
  exact: number;
  adjusted: number;
  quarantined: number;
  excluded: number;
}

export interface Quarantined {
  position: number;
  document_id: string;
  reason: string;
  path: string;
  detail: string;
  original: Uint8Array;
}

export interface Excluded {
  position: number;
  document_id: string;
  rule: string;
}

export interface Adjusted {
  position: number;
  row_id: string;
  rule: string;
  path: string;
}

export interface Original {
  position: number;
  row_id: string;
  original: Uint8Array;
}

/** What a batch notes beside its rows. */
export interface Notes {
  tally: Tally;
  quarantined: Quarantined[];
  excluded: Excluded[];
  adjusted: Adjusted[];
  originals: Original[];
}

/** When the source was planned and settled; undefined for an unknown one. */
export async function findSource(sql: Sql, fingerprint: string) {
  const [source] = await sql<{ settled: boolean }[]>`
    select settled_at is not null as settled
    from migration.sources
    where fingerprint = ${fingerprint}`;
  return source;
}

/** Stores the plan of a source, once. */
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

/** Ranges of a source in load order, those still planned or all. */
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

export async function insertRun(sql: Sql, fingerprint: string): Promise<string> {
  // Whoever holds the fence is alone: a run still open was killed.
  await sql`
    update migration.runs
    set state = 'failed', ended_at = now(), note = 'killed'
    where state = 'running'`;
  const [run] = await sql`
    insert into migration.runs (fingerprint) values (${fingerprint}) returning id`;
  return run!.id;
}

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

/** Marks a range done with its counts; false where another already did. */
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

async function insertQuarantined(sql: Sql, fingerprint: string, range: Range, rows: Quarantined[]) {
  const { collection, number } = range;
  await sql`
    insert into migration.quarantine
      (fingerprint, collection, range_number, position, document_id, reason, path, detail, original)
    select ${fingerprint}, ${collection}, ${number}, q.position, q.id, q.reason, q.path, q.detail,
      decode(q.original, 'base64')
    from unnest(
      ${rows.map((row) => row.position)}::bigint[], ${rows.map((row) => row.document_id)}::text[],
      ${rows.map((row) => row.reason)}::text[], ${rows.map((row) => storable(row.path))}::text[],
      ${rows.map((row) => storable(row.detail))}::text[], ${
    rows.map((row) => row.original.toBase64())
  }::text[]
    ) as q (position, id, reason, path, detail, original)`;
}

/** Text as a column takes it: for messages and paths, where a mark for what cannot be stored is enough. */
export const storable = (text: string) => text.toWellFormed().replaceAll("\0", "\u2400");

/** Bytes of originals sent in one statement, about. */
const originalBytesMax = 8 * 1024 * 1024;

function* cut<T extends { original: Uint8Array }>(rows: T[]): Generator<T[]> {
  let part: T[] = [];
  let bytes = 0;
  for (const row of rows) {
    part.push(row);
    bytes += row.original.length;
    if (bytes > originalBytesMax || part.length >= 1000) {
      yield part;
      part = [];
      bytes = 0;
    }
  }
  if (part.length > 0) yield part;
}

/** Writes the exceptions of a batch. */
export async function insertNotes(sql: Sql, fingerprint: string, range: Range, notes: Notes) {
  const { collection, number } = range;
  for (const part of cut(notes.quarantined)) await insertQuarantined(sql, fingerprint, range, part);
  if (notes.quarantined.length > 0) failpoint("notes.quarantined");
  for (const part of cut(notes.originals)) {
    await sql`
      insert into migration.originals (fingerprint, collection, range_number, position, row_id, original)
      select ${fingerprint}, ${collection}, ${number}, o.position, o.id, decode(o.original, 'base64')
      from unnest(
        ${part.map((row) => row.position)}::bigint[], ${part.map((row) => row.row_id)}::uuid[],
        ${part.map((row) => row.original.toBase64())}::text[]
      ) as o (position, id, original)`;
    failpoint("notes.originals");
  }
  if (notes.adjusted.length > 0) {
    await sql`
      insert into migration.adjustments (fingerprint, collection, range_number, position, row_id, rule, path)
      select ${fingerprint}, ${collection}, ${number}, a.position, a.id, a.rule, a.path
      from unnest(
        ${notes.adjusted.map((row) => row.position)}::bigint[], ${
      notes.adjusted.map((row) => row.row_id)
    }::uuid[],
        ${notes.adjusted.map((row) => row.rule)}::text[], ${
      notes.adjusted.map((row) => storable(row.path))
    }::text[]
      ) as a (position, id, rule, path)`;
    failpoint("notes.adjusted");
  }
  if (notes.excluded.length > 0) {
    await sql`
      insert into migration.exclusions (fingerprint, collection, range_number, position, document_id, rule)
      select ${fingerprint}, ${collection}, ${number}, e.position, e.id, e.rule
      from unnest(
        ${notes.excluded.map((row) => row.position)}::bigint[],
        ${notes.excluded.map((row) => row.document_id)}::text[], ${
      notes.excluded.map((row) => row.rule)
    }::text[]
      ) as e (position, id, rule)`;
    failpoint("notes.excluded");
  }
}

/** Positions of a range that have no row of their own, and why. */
export async function listRowless(sql: Sql, fingerprint: string, collection: Collection, range: number) {
  return await sql<{ position: number; reason: string; original: Uint8Array | null }[]>`
    select position::float8 as position, reason, original
    from migration.quarantine
    where fingerprint = ${fingerprint} and collection = ${collection} and range_number = ${range}`;
}

/** Ranges of a source that have documents without a row, as `collection/number`. */
export async function listRowlessRanges(sql: Sql, fingerprint: string): Promise<Set<string>> {
  const rows = await sql`
    select distinct collection || '/' || range_number as range
    from migration.quarantine
    where fingerprint = ${fingerprint}`;
  return new Set(rows.map(({ range }) => range));
}

// Any numbers, but their own: the schema runner's lock is another.
const fenceKeys = [0x636f6e75, 0x636f6e76] as const;

/**
 * Takes the fence for one of a migrator's sessions (0 or 1): one migrator at a time on a database, and while a
 * session of a killed one still ends, none.
 */
export async function takeFence(sql: Sql, session = 0): Promise<boolean> {
  const [got] = await sql`select pg_try_advisory_lock(${fenceKeys[session]!}) as locked`;
  return got?.locked === true;
}

export async function dropFence(sql: Sql, session = 0): Promise<void> {
  await sql`select pg_advisory_unlock(${fenceKeys[session]!})`;
}
