/** Unique keys that two documents claim: decides which of them gets the row, and which waits. */
import type { Sql } from "../../../db/pg/connect.ts";
import type { Collection } from "../documents/source.ts";
import type { StagedDocument, WaitingDocument } from "./mapping.ts";
import { type ExistingRow, findKeyHolders, keyOfExisting } from "./stage.ts";

export interface Resolved {
  staged: StagedDocument[];
  waiting: WaitingDocument[];
}

const byAge = (a: StagedDocument, b: StagedDocument) => a.legacyId < b.legacyId ? -1 : 1;

function toWaiting(document: StagedDocument, reason: "duplicate_id" | "duplicate_email", awaited: string) {
  const { collection, documentId, legacyId, raw } = document;
  const path = reason === "duplicate_email" ? "email" : "id";
  const detail = `another document has the ${path} '${awaited.split("/").at(-1)}'`;
  return { collection, documentId, legacyId, raw, awaited, rejection: { reason, path, detail } };
}

/**
 * Keeps at most one document for each key. A row that holds a key keeps it while its document claims it; among new
 * documents the oldest gets it.
 *
 * @param holders `legacy_id` of the row that holds each key
 */
function keepOne(
  documents: readonly StagedDocument[],
  keyOf: (document: StagedDocument) => string,
  holders: ReadonlyMap<string, string>,
  reason: "duplicate_id" | "duplicate_email",
): Resolved {
  const staged: StagedDocument[] = [];
  const waiting: WaitingDocument[] = [];
  for (const [key, claimants] of Map.groupBy(documents, keyOf)) {
    const holder = holders.get(key);
    const winner = holder === undefined
      ? claimants.toSorted(byAge)[0]
      : claimants.find(({ legacyId }) => legacyId === holder);
    for (const document of claimants) {
      if (document === winner) staged.push(document);
      else waiting.push(toWaiting(document, reason, key));
    }
  }
  return { staged, waiting };
}

/** Finds the `legacy_id` of the users that have these e-mails. */
async function findEmailHolders(sql: Sql, emails: readonly string[]): Promise<Map<string, string>> {
  const rows = await sql`
    select email, legacy_id
    from users
    where email = any (${[...emails]}::text[])`;
  return new Map(rows.map(({ email, legacy_id }) => [email, legacy_id]));
}

const emailOf = ({ row }: StagedDocument): string => row!.email!;

/**
 * Decides on e-mails. A row gives its e-mail up when its document claims another one that it gets, so that two users
 * can exchange theirs; a document that must wait keeps what its row has, which may make further ones wait.
 */
async function resolveEmails(sql: Sql, documents: readonly StagedDocument[]): Promise<Resolved> {
  const held = await findEmailHolders(sql, documents.map(emailOf));
  const waiting: WaitingDocument[] = [];
  for (let staged = [...documents];;) {
    const claims = new Map(staged.map((document) => [document.legacyId, emailOf(document)]));
    const holders = new Map(
      [...held].filter(([email, legacyId]) => (claims.get(legacyId) ?? email) === email),
    );
    const resolved = keepOne(staged, emailOf, holders, "duplicate_email");
    waiting.push(...resolved.waiting);
    if (resolved.waiting.length === 0) return { staged, waiting };
    staged = resolved.staged;
  }
}

/**
 * Decides which documents of one collection get their row now.
 *
 * @param existing the rows of the documents by `legacy_id`
 */
export async function resolveConflicts(
  sql: Sql,
  collection: Collection,
  documents: readonly StagedDocument[],
  existing: ReadonlyMap<string, ExistingRow>,
): Promise<Resolved> {
  if (documents.length === 0) return { staged: [], waiting: [] };
  if (collection === "users") return await resolveEmails(sql, documents);
  const hasItsKey = (document: StagedDocument) => keyOfExisting(existing, document) === document.key;
  const unchanged = documents.filter(hasItsKey);
  const others = documents.filter((document) => !hasItsKey(document));
  const holders = others.length === 0
    ? new Map<string, string>()
    : await findKeyHolders(sql, collection, others.map(({ key }) => key));
  for (const { key, legacyId } of unchanged) holders.set(key, legacyId);
  return keepOne(documents, ({ key }) => key, holders, "duplicate_id");
}

/**
 * Frees the e-mails that rows of the batch hold and other documents of the batch get. Each of these rows gets its new
 * e-mail in the same transaction.
 *
 * @returns all e-mails whose owner changes
 */
export async function releaseEmails(
  sql: Sql,
  staged: readonly StagedDocument[],
): Promise<string[]> {
  const ids = staged.map(({ key }) => key);
  const emails = staged.map(emailOf);
  const changed = await sql`
    select u.email as old, n.email as new
    from unnest(${ids}::uuid[], ${emails}::text[]) as n (id, email)
    left join users u on u.id = n.id
    where u.email is distinct from n.email`;
  const claimed = new Set(emails);
  const released = changed.filter(({ old }) => old !== null && claimed.has(old)).map(({ old }) => old);
  if (released.length > 0) {
    await sql`update users set email = 'released:' || id where email = any (${released}::text[])`;
  }
  return [...new Set(changed.flatMap((row) => [row.old, row.new]).filter((email) => email !== null))];
}
