/** What the ledger records about the followed source and one of its documents. */
import type { Sql } from "../../../db/pg/connect.ts";
import type { Collection } from "../documents/source.ts";

/** The source that a document is followed from, and how far its changes are applied. Times are ISO 8601. */
export interface FollowedSource {
  location: string;
  state: string;
  /** Time of the source up to which all changes are applied. */
  position_at: string | null;
  /** When the last changes were applied. */
  applied_at: string;
}

/** A document that waits for its task or for a unique key. */
export interface WaitingDocument {
  collection: Collection;
  document_id: string;
  reason: string;
  path: string;
  detail: string;
  original: Uint8Array;
}

/** Returns the followed source, if there is one. */
export async function findFollowedSource(
  sql: Sql,
): Promise<(FollowedSource & { fingerprint: string }) | null> {
  const [row] = await sql<(FollowedSource & { fingerprint: string })[]>`
    select s.location, f.state, f.fingerprint,
      to_char(f.position_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as position_at,
      to_char(f.applied_at, 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as applied_at
    from migration.follows f
    join migration.sources s using (fingerprint)
    where f.state <> 'ended'`;
  return row ?? null;
}

/** Finds waiting documents by `_id`, or by a text inside their bytes. */
export async function findWaiting(sql: Sql, documentIds: string[], text: string): Promise<WaitingDocument[]> {
  return await sql<WaitingDocument[]>`
    select collection, document_id, reason, path, detail, original
    from migration.waiting
    where document_id = any (${documentIds}::text[])
      or (length(${text}) >= 8 and position(convert_to(${text}, 'UTF8') in original) > 0)
    order by document_id = any (${documentIds}::text[]) desc, collection, document_id
    limit 20`;
}
