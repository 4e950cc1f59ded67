/** Stores a verification in the ledger, with a checkpoint for each compared range, so that it can be resumed. */
import { wait } from "../../../wait.ts";
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { Mismatch } from "./mismatch.ts";
import type { Collection, Range } from "../documents/source.ts";
import { Comparison, mismatchesMax } from "./result.ts";

/** A running verification. */
export interface Verification {
  id: string;
  /** Start of the first run, ISO 8601. */
  since: string;
  /** Results of all ranges compared so far, including those of earlier runs. */
  total: Comparison;
  /** Number of rows compared so far, by collection. */
  comparedRows: Map<Collection, number>;
  /** Ranges that earlier runs compared, as `collection/number`. */
  done: Set<string>;
}

/** First key of the advisory lock of a verification; the second is its id. The migrator lock has other keys. */
const lockKey = 0x636f6e78;
/** Attempts to acquire the lock, and the time between them. The session of a killed process ends within 2 s. */
const lockAttempts = 10;
const lockAttemptMs = 200;

/** Returns a digest of the loaded ranges of a source and of everything that changed rows since. */
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

/**
 * Tries to acquire the lock of a verification. The lock is held until the session ends.
 *
 * @param kind first key of the lock
 */
export async function acquireLock(sql: Sql, kind: number, id: string): Promise<boolean> {
  for (let attempt = 0; attempt < lockAttempts; attempt++) {
    const [lock] = await sql`select pg_try_advisory_lock(${kind}, ${id}::int) as acquired`;
    if (lock!.acquired) return true;
    await wait(lockAttemptMs);
  }
  return false;
}

type Checkpoints = Pick<Verification, "total" | "comparedRows" | "done">;

async function readCheckpoints(sql: Sql, id: string): Promise<Checkpoints> {
  const total = new Comparison();
  const comparedRows = new Map<Collection, number>();
  const done = new Set<string>();
  const ranges = await sql<
    { collection: Collection; number: number; documents: number; rows: number; quarantined: number }[]
  >`
    select collection, number, documents, rows, quarantined, differences
    from migration.verified_ranges
    where verification_id = ${id}`;
  for (const range of ranges) {
    done.add(`${range.collection}/${range.number}`);
    comparedRows.set(range.collection, (comparedRows.get(range.collection) ?? 0) + range.rows);
    total.add(Object.assign(new Comparison(), range));
  }
  total.mismatches.push(
    ...await sql<Mismatch[]>`
      select collection, document_id, kind, path, source_value, row_value, cause
      from migration.differences
      where verification_id = ${id}
      order by number`,
  );
  return { total, comparedRows, done };
}

/**
 * Resumes the last verification of a source if it was interrupted, if the ranges and rows have not been changed by
 * the migrator since, and if no other session runs it. Otherwise begins a new one.
 *
 * @param again always begins a new verification
 */
export async function openVerification(sql: Sql, fingerprint: string, again: boolean): Promise<Verification> {
  const plan = await digestPlan(sql, fingerprint);
  const [last] = again ? [] : await sql<{ id: string; since: string }[]>`
    select id, to_char(started_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since
    from migration.verifications
    where id = (select max(id) from migration.verifications where fingerprint = ${fingerprint})
      and ended_at is null and plan = ${plan}`;
  if (last && await acquireLock(sql, lockKey, last.id)) {
    return { ...last, ...await readCheckpoints(sql, last.id) };
  }
  const [created] = await sql<{ id: string; since: string }[]>`
    insert into migration.verifications (fingerprint, plan)
    values (${fingerprint}, ${plan})
    returning id, to_char(started_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since`;
  await acquireLock(sql, lockKey, created!.id);
  failpoint("verify.begun");
  return { ...created!, total: new Comparison(), comparedRows: new Map(), done: new Set() };
}

/** Reports whether a verification of a source at this location was interrupted, even if the content was another. */
export async function hasInterruptedVerification(sql: Sql, location: string): Promise<boolean> {
  const [row] = await sql`
    select exists (
      select from migration.verifications v
      join migration.sources s on s.fingerprint = v.fingerprint
      where s.location = ${location} and v.ended_at is null
        and v.id = (select max(id) from migration.verifications l where l.fingerprint = v.fingerprint)
    ) as interrupted`;
  return row!.interrupted;
}

/** Returns the statement that inserts the differences of a verification. */
function insertDifferences(
  sql: Sql,
  id: string,
  mismatches: readonly Mismatch[],
): postgres.PendingQuery<postgres.Row[]> {
  const collections = mismatches.map(({ collection }) => collection);
  const documentIds = mismatches.map(({ document_id }) => document_id);
  const kinds = mismatches.map(({ kind }) => kind);
  const paths = mismatches.map(({ path }) => path);
  const sourceValues = mismatches.map(({ source_value }) => source_value);
  const rowValues = mismatches.map(({ row_value }) => row_value);
  const causes = mismatches.map(({ cause }) => cause);
  return sql`
    insert into migration.differences
      (verification_id, collection, document_id, kind, path, source_value, row_value, cause)
    select ${id}, d.collection, d.document_id, d.kind, d.path, d.source_value, d.row_value, d.cause
    from unnest(
      ${collections}::text[], ${documentIds}::text[], ${kinds}::text[], ${paths}::text[],
      ${sourceValues}::text[], ${rowValues}::text[], ${causes}::text[]
    ) with ordinality as d (collection, document_id, kind, path, source_value, row_value, cause, rank)
    order by d.rank`;
}

/** Stores the checkpoint of a range together with its differences, in one statement. */
export async function saveRange(
  sql: Sql,
  { id, total }: Verification,
  { collection, number }: Range,
  { documents, rows, quarantined, differences, mismatches }: Comparison,
): Promise<void> {
  const stored = mismatches.slice(0, Math.max(0, mismatchesMax - total.mismatches.length));
  const insertRange = sql`
    insert into migration.verified_ranges
      (verification_id, collection, number, documents, rows, quarantined, differences)
    values (${id}, ${collection}, ${number}, ${documents}, ${rows}, ${quarantined}, ${differences})`;
  if (stored.length === 0) {
    await insertRange;
    return;
  }
  await sql`
    with range as (${insertRange})
    ${insertDifferences(sql, id, stored)}`;
}

/** Ends a verification: stores its result and the differences that belong to no range. */
export async function finishVerification(
  sql: Sql,
  { id }: Verification,
  { documents, rows, differences }: Comparison,
  rest: readonly Mismatch[],
): Promise<void> {
  await sql`begin`;
  await insertDifferences(sql, id, rest);
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
