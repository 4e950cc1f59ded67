/** Answers of requests under a key, by who asked. */
import type { Sql } from "../pg/connect.ts";

export interface StoredAnswer {
  status: number;
  headers: Record<string, string>;
  /** Sealed: only who has the key can read it. */
  body: string;
}

/** Hours that an answer is kept. */
const keptHours = 24;

/**
 * Takes a key within a transaction. One that another transaction has taken is waited for until that one ends.
 *
 * @returns `new` where the work is ours; the answer where it was done
 */
export async function reserveKey(
  sql: Sql,
  { principalId, key, requestHash }: { principalId: string; key: string; requestHash: Uint8Array },
): Promise<"new" | "other_request" | StoredAnswer> {
  await sql`
    delete from idempotency_keys
    where principal_id = ${principalId} and key = ${key} and created_at < now() - ${keptHours}::int * interval '1 hour'`;
  for (;;) {
    const taken = await sql`
      insert into idempotency_keys (principal_id, key, request_hash, status, headers, body)
      values (${principalId}, ${key}, ${requestHash}, 0, '{}', '')
      on conflict do nothing
      returning 1`;
    if (taken.length > 0) return "new";
    const [row] = await sql<(StoredAnswer & { same: boolean })[]>`
      select status, headers, body, request_hash = ${requestHash} as same
      from idempotency_keys
      where principal_id = ${principalId} and key = ${key}`;
    // One that was forgotten between the two is free again.
    if (!row) continue;
    const { same, ...answer } = row;
    return same ? answer : "other_request";
  }
}

/** Stores the answer of a key that was taken in this transaction. */
export async function saveAnswer(
  sql: Sql,
  { principalId, key, status, headers, body }: { principalId: string; key: string } & StoredAnswer,
): Promise<void> {
  await sql`
    update idempotency_keys
    set status = ${status}, headers = ${JSON.stringify(headers)}::text::json, body = ${body}
    where principal_id = ${principalId} and key = ${key}`;
}

/** Forgets answers that are no longer kept. @returns how many */
export async function forgetOldAnswers(sql: Sql): Promise<number> {
  const { count } = await sql`
    delete from idempotency_keys where created_at < now() - ${keptHours}::int * interval '1 hour'`;
  return count;
}
