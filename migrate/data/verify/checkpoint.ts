/** A verification in the ledger: what it found of each range is kept at once, and a later run goes on from there. */
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { Mismatch } from "./mismatch.ts";
import type { Collection, Range } from "../documents/source.ts";
import { Findings, mismatchesMax } from "./result.ts";

/** A verification under way. */
export interface Verification {
  id: string;
  /** When its first run began, ISO 8601. */
  since: string;
  /** What earlier runs found. */
  found: Findings;
  rowsOf: Map<Collection, number>;
  /** Ranges that they compared, as `collection/number`. */
  done: Set<string>;
}

// Any number but those of the migrator's fence; the second is the verification's.
const lockKey = 0x636f6e78;
// A session that was killed ends within this.
const tries = 10, tryMs = 200;

/** Digest of what a verification of a source compares: its ranges as loaded, and all that changed rows since. */
async function digestPlan(sql: Sql, fingerprint: string): Promise<string> {
  const [row] = await sql`
    select md5(concat_ws('/',
      (select string_agg(concat_ws(' ', collection, number, lower_bound, upper_bound, documents, digest, run_id), ','
          order by collection, number)
        from migration.ranges
        where fingerprint = ${fingerprint}),
      (select string_agg(concat_ws(' ', fingerprint, extract(epoch from settled_at)), ',' order by fingerprint)
        from migration.sources),
      (select concat_ws(' ', count(*), count(undone_at), max(id)) from migration.repairs),
      (select concat_ws(' ', count(*), extract(epoch from max(at))) from migration.replays),
      (select max(number) from migration.schema_steps)
    )) as digest`;
  return row!.digest;
}

/** True when no other session is at it; held until this one ends. */
async function takeLock(sql: Sql, id: string): Promise<boolean> {
  for (let left = tries; left > 0; left--) {
    const [got] = await sql`select pg_try_advisory_lock(${lockKey}, ${id}::int) as locked`;
    if (got!.locked) return true;
    await new Promise((go) => setTimeout(go, tryMs));
  }
  return false;
}

async function readFound(sql: Sql, id: string): Promise<Pick<Verification, "found" | "rowsOf" | "done">> {
  const found = new Findings();
  const rowsOf = new Map<Collection, number>();
  const done = new Set<string>();
  const ranges = await sql<
    { collection: Collection; number: number; documents: number; rows: number; quarantined: number }[]
  >`
    select collection, number, documents, rows, quarantined, differences
    from migration.verified_ranges
    where verification_id = ${id}`;
  for (const range of ranges) {
    done.add(`${range.collection}/${range.number}`);
    rowsOf.set(range.collection, (rowsOf.get(range.collection) ?? 0) + range.rows);
    found.add(Object.assign(new Findings(), range));
  }
  found.mismatches.push(
    ...await sql<Mismatch[]>`
      select collection, document_id, kind, path, source_value, row_value, cause
      from migration.differences
      where verification_id = ${id}
      order by number`,
  );
  return { found, rowsOf, done };
}

/**
 * Begins a verification of a loaded source, or goes on with its last one where that was interrupted, what it compares
 * is still the same, and nobody else is at it.
 *
 * @param again begins anew in any case
 */
export async function openVerification(sql: Sql, fingerprint: string, again: boolean): Promise<Verification> {
  const plan = await digestPlan(sql, fingerprint);
  const [last] = again ? [] : await sql<{ id: string; since: string }[]>`
    select id, to_char(started_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
    from migration.verifications
    where id = (select max(id) from migration.verifications where fingerprint = ${fingerprint})
      and ended_at is null and plan = ${plan}`;
  if (last && await takeLock(sql, last.id)) return { ...last, ...await readFound(sql, last.id) };
  const [made] = await sql<{ id: string; since: string }[]>`
    insert into migration.verifications (fingerprint, plan)
    values (${fingerprint}, ${plan})
    returning id, to_char(started_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since`;
  await takeLock(sql, made!.id);
  failpoint("verify.begun");
  return { ...made!, found: new Findings(), rowsOf: new Map(), done: new Set() };
}

/** Whether a verification of what stands at this place was interrupted, whatever stands there now. */
export async function isInterrupted(sql: Sql, location: string): Promise<boolean> {
  const [row] = await sql`
    select exists (
      select from migration.verifications v
      join migration.sources s on s.fingerprint = v.fingerprint
      where s.location = ${location} and v.ended_at is null
        and v.id = (select max(id) from migration.verifications l where l.fingerprint = v.fingerprint)
    ) as interrupted`;
  return row!.interrupted;
}

const listOf = (sql: Sql, mismatches: readonly Mismatch[]): postgres.PendingQuery<postgres.Row[]> =>
  sql`unnest(
    ${mismatches.map((m) => m.collection)}::text[], ${mismatches.map((m) => m.document_id)}::text[],
    ${mismatches.map((m) => m.kind)}::text[], ${mismatches.map((m) => m.path)}::text[],
    ${mismatches.map((m) => m.source_value)}::text[], ${mismatches.map((m) => m.row_value)}::text[],
    ${mismatches.map((m) => m.cause)}::text[]
  ) with ordinality as d (collection, document_id, kind, path, source_value, row_value, cause, place)`;

const columns = "verification_id, collection, document_id, kind, path, source_value, row_value, cause";
const select = "d.collection, d.document_id, d.kind, d.path, d.source_value, d.row_value, d.cause";

/** Keeps what was found of a range: its checkpoint and its differences, in one statement. */
export async function saveRange(
  sql: Sql,
  { id, found }: Verification,
  { collection, number }: Range,
  { documents, rows, quarantined, differences, mismatches }: Findings,
): Promise<void> {
  const kept = mismatches.slice(0, Math.max(0, mismatchesMax - found.mismatches.length));
  if (kept.length === 0) {
    await sql`
      insert into migration.verified_ranges
        (verification_id, collection, number, documents, rows, quarantined, differences)
      values (${id}, ${collection}, ${number}, ${documents}, ${rows}, ${quarantined}, ${differences})`;
    return;
  }
  await sql`
    with range as (
      insert into migration.verified_ranges
        (verification_id, collection, number, documents, rows, quarantined, differences)
      values (${id}, ${collection}, ${number}, ${documents}, ${rows}, ${quarantined}, ${differences})
    )
    insert into migration.differences (${sql.unsafe(columns)})
    select ${id}, ${sql.unsafe(select)}
    from ${listOf(sql, kept)}
    order by d.place`;
}

/** Closes a verification with what was found of all, and the differences that no range has. */
export async function finishVerification(
  sql: Sql,
  { id }: Verification,
  { documents, rows, differences }: Findings,
  rest: readonly Mismatch[],
): Promise<void> {
  await sql`begin`;
  await sql`
    insert into migration.differences (${sql.unsafe(columns)})
    select ${id}, ${sql.unsafe(select)}
    from ${listOf(sql, rest)}
    order by d.place`;
  failpoint("verify.inserted");
  await sql`
    update migration.verifications
    set ended_at = now(), documents = ${documents}, rows = ${rows}, differences = ${differences},
      verdict = ${differences === 0 ? "equal" : "different"}
    where id = ${id}`;
  failpoint("verify.before_commit");
  await sql`commit`;
  failpoint("verify.committed");
}
