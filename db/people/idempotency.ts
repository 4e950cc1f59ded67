/** Stored answers to requests with an Idempotency-Key, per principal. */
import type { Sql } from "../pg/connect.ts";

export interface StoredAnswer {
  status: number;
  headers: Record<string, string>;
  /** Encrypted: only a client that knows the key can read it. */
  body: string;
}

/** Hours for which an answer is kept. */
const keptHours = 24;

/**
 * Reserves a key within a transaction. If another transaction has reserved it, the call waits for that one to
 * end.
 *
 * @returns `new` if this transaction must do the work; the stored answer if it was done; `other_request` if
 * the key was used with another request
 */
export async function reserveKey(
  sql: Sql,
  { principalId, key, requestHash }: { principalId: string; key: string; requestHash: Uint8Array },
): Promise<"new" | "other_request" | StoredAnswer> {
  await sql`
    delete from idempotency_keys
    where principal_id = ${principalId} and key = ${key}
      and created_at < now() - ${keptHours}::int * interval '1 hour'`;
  for (;;) {
    const inserted = await sql`
      insert into idempotency_keys (principal_id, key, request_hash, status, headers, body)
      values (${principalId}, ${key}, ${requestHash}, 0, '{}', '')
      on conflict do nothing
      returning 1`;
    if (inserted.length > 0) return "new";
    const [row] = await sql<(StoredAnswer & { same: boolean })[]>`
      select status, headers, body, request_hash = ${requestHash} as same
      from idempotency_keys
      where principal_id = ${principalId} and key = ${key}`;
    // The key was deleted between the two statements and is free again.
    if (!row) continue;
    const { same, ...answer } = row;
    return same ? answer : "other_request";
  }
}

/** Stores the answer of a key that this transaction has reserved. */
export async function saveAnswer(
  sql: Sql,
  { principalId, key, status, headers, body }: { principalId: string; key: string } & StoredAnswer,
): Promise<void> {
  await sql`
    update idempotency_keys
    set status = ${status}, headers = ${JSON.stringify(headers)}::text::json, body = ${body}
    where principal_id = ${principalId} and key = ${key}`;
}

/** Deletes answers older than the retention time. @returns the number of deleted answers */
export async function deleteExpiredAnswers(sql: Sql): Promise<number> {
  const { count } = await sql`
    delete from idempotency_keys where created_at < now() - ${keptHours}::int * interval '1 hour'`;
  return count;
}
