/** Reads what the target has of some documents: rows, ledger entries, quarantine and waiting documents. */
import type postgres from "postgres";
import type { Collection } from "../documents/source.ts";
import { keyOfLine, tables } from "../lens/tables.ts";
import type { StagedDocument } from "../sync/mapping.ts";
import { copyDigest, copyOut } from "../tools/copy.ts";
import { RangeDigest } from "./digest.ts";
import { formatAdjustments } from "./entries.ts";
import { selectRows } from "../lens/select_rows.ts";

/** A row as COPY text, with the transaction that wrote it. */
export interface TargetRow {
  line: string;
  transaction: string;
  /** The row is as the first copy wrote it. */
  isCopied: boolean;
}

/** Key of a row that must have a document. */
export interface RowKey {
  /** See keyOf(). */
  key: string;
  legacyId: string;
}

/** A document that is in quarantine or waits. */
export interface TargetException {
  from: "quarantine" | "waiting";
  reason: string;
  original: Uint8Array;
  hasRow: boolean;
}

/** Ledger entries of a document that has a row. */
export interface TargetEntries {
  /** See formatAdjustments(). */
  adjustments: string;
  /** Original bytes in base64; null without. */
  original: string | null;
}

/** A counter or the owner of a task that is not what its subtasks and users require. */
export interface WrongDerived {
  name: string;
  wanted: string | null;
  found: string | null;
}

/** What the target has of some documents, in one snapshot. */
export interface TargetState {
  /** Rows by key. */
  rows: Map<string, TargetRow>;
  /** Rows that must be those of the documents, because of their `legacy_id`. */
  claimed: RowKey[];
  /** Exceptions by documentKey(). */
  exceptions: Map<string, TargetException[]>;
  /** Entries by documentKey(). */
  entries: Map<string, TargetEntries>;
  /** `legacy_id` of the user that has an e-mail. */
  emailHolders: Map<string, string>;
  /** Wrong counters and owners of tasks, by key. */
  derived: Map<string, WrongDerived[]>;
}

/** Which rows are claimed: those of a range of `legacy_id`s, and those with certain ones. */
export interface Claim {
  range?: { after: string; upTo: string };
  legacyIds: readonly string[];
}

async function readDifferentRows(
  sql: postgres.ISql,
  collection: Collection,
  keys: string[],
): Promise<Map<string, TargetRow>> {
  const rows = new Map<string, TargetRow>();
  const copied = "t.xmin in (select xmin from migration.follow_ranges)";
  for await (const text of copyOut(sql, selectRows(collection, keys, { before: ["t.xmin", copied] }))) {
    const [transaction, isCopied] = text.split("\t", 2) as [string, string];
    const line = text.slice(transaction.length + isCopied.length + 2);
    rows.set(keyOfLine(collection, line), { line, transaction, isCopied: isCopied === "t" });
  }
  return rows;
}

/**
 * Reads the rows of these documents. Compares one digest first: nearly always all rows are as they must be, and need
 * not be read line by line.
 */
export async function readRows(
  sql: postgres.ISql,
  collection: Collection,
  staged: readonly StagedDocument[],
): Promise<Map<string, TargetRow>> {
  if (staged.length === 0) return new Map();
  const digest = new RangeDigest();
  for (const { key, line } of staged) digest.add(key, line);
  if (await copyDigest(sql, selectRows(collection, digest.keys)) === digest.finish()) {
    return new Map(staged.map(({ key, line }) => [key, { line, transaction: "", isCopied: false }]));
  }
  return await readDifferentRows(sql, collection, [...new Set(digest.keys)]);
}

/**
 * Condition for rows `t` that must have a document. Only the source adds subtasks to its tasks; rows that this system
 * made have no generation.
 */
const mustHaveDocument: Record<Collection, string> = {
  users: "t.generation is not null",
  tasks: "t.generation is not null",
  dramatiq_tasks: `(t.generation is not null
    or exists (select from tasks p where p.id = t.parent_task_id and p.generation is not null))`,
};

/** Rows of a range of `legacy_id`s are in the order of their documents if their `_id`s are ObjectIds. */
const isObjectId = "t.extra -> '_id' is null";

/** Reads the keys of claimed rows. */
export async function readClaimed(
  sql: postgres.ISql,
  collection: Collection,
  { range, legacyIds }: Claim,
): Promise<RowKey[]> {
  const { name, keyColumns } = tables[collection];
  const key = keyColumns.map((column) => `t.${column}::text`).join(" || '/' || ");
  const select = (condition: string, values: string[] | string[][]) =>
    sql.unsafe<RowKey[]>(
      `
      select ${key} as key, t.legacy_id as "legacyId"
      from ${name} t
      where ${condition} and ${mustHaveDocument[collection]}`,
      values,
    );
  const named = legacyIds.length === 0
    ? []
    : await select("t.legacy_id = any ($1::text[])", [[...legacyIds]]);
  if (range === undefined) return [...named];
  const between = await select(`t.legacy_id > $1 and t.legacy_id <= $2 and ${isObjectId}`, [
    range.after,
    range.upTo,
  ]);
  return [...named, ...between];
}

/** Yields the rows whose `_id` is no ObjectId, as COPY lines of all columns. */
export function readUnusualRows(sql: postgres.ISql, collection: Collection): AsyncGenerator<string> {
  const { name, columns } = tables[collection];
  return copyOut(
    sql,
    `copy (
      select ${columns.map((column) => `t.${column}`).join()}
      from ${name} t
      where t.generation is not null and not (${isObjectId})
    ) to stdout`,
  );
}

/** Reads the quarantine and the waiting documents among these. */
export async function readExceptions(
  sql: postgres.ISql,
  fingerprint: string,
  collection: Collection,
  documentIds: string[],
): Promise<Map<string, TargetException[]>> {
  const rows = await sql<(TargetException & { document_id: string })[]>`
    select document_id, 'quarantine' as from, reason, original, has_row as "hasRow"
    from migration.quarantine
    where fingerprint = ${fingerprint} and collection = ${collection} and document_id = any (${documentIds}::text[])
    union all
    select document_id, 'waiting', reason, original, has_row
    from migration.waiting
    where collection = ${collection} and document_id = any (${documentIds}::text[])`;
  return Map.groupBy(rows, ({ document_id }) => document_id);
}

/** Reads the adjustments and originals of these documents. */
export async function readEntries(
  sql: postgres.ISql,
  collection: Collection,
  documentIds: string[],
): Promise<Map<string, TargetEntries>> {
  const adjustments = await sql<{ document_id: string; rules: { rule: string; path: string }[] }[]>`
    select document_id, json_agg(json_build_object('rule', rule, 'path', path)) as rules
    from migration.adjustments
    where collection = ${collection} and document_id = any (${documentIds}::text[])
    group by document_id`;
  const originals = await sql<{ document_id: string; original: Uint8Array }[]>`
    select document_id, original
    from migration.originals
    where collection = ${collection} and document_id = any (${documentIds}::text[])`;
  const entries = new Map<string, TargetEntries>();
  for (const { document_id, rules } of adjustments) {
    entries.set(document_id, { adjustments: formatAdjustments(rules), original: null });
  }
  for (const { document_id, original } of originals) {
    const known = entries.get(document_id) ?? { adjustments: "", original: null };
    const text = new Uint8Array(original).toBase64();
    entries.set(document_id, {
      adjustments: known.adjustments,
      original: known.original === null ? text : `${known.original} and ${text}`,
    });
  }
  return entries;
}

/** Returns the `legacy_id` of the users that have these e-mails. */
export async function readEmailHolders(sql: postgres.ISql, emails: string[]): Promise<Map<string, string>> {
  if (emails.length === 0) return new Map();
  const rows = await sql`select email, legacy_id from users where email = any (${emails}::text[])`;
  return new Map(rows.map(({ email, legacy_id }) => [email, legacy_id]));
}

/** Compares the counters and owners of tasks with their subtasks and with the users. */
export async function readWrongDerived(
  sql: postgres.ISql,
  tasks: string[],
): Promise<Map<string, WrongDerived[]>> {
  if (tasks.length === 0) return new Map();
  const rows = await sql<(WrongDerived & { id: string })[]>`
    select t.id::text as id, v.name, v.wanted, v.found
    from tasks t
    left join users u on u.email = t.username
    cross join lateral (
      select count(*) as total,
        count(*) filter (where s.status = 'completed') as completed,
        count(*) filter (where s.status = 'failed') as failed,
        count(*) filter (where s.status = 'cancelled') as cancelled
      from subtasks s
      where s.parent_task_id = t.id
    ) as c
    cross join lateral (values
      ('subtasks_total', c.total::text, t.subtasks_total::text),
      ('subtasks_completed', c.completed::text, t.subtasks_completed::text),
      ('subtasks_failed', c.failed::text, t.subtasks_failed::text),
      ('subtasks_cancelled', c.cancelled::text, t.subtasks_cancelled::text),
      ('owner_id', u.id::text, t.owner_id::text)
    ) as v (name, wanted, found)
    where t.id = any (${tasks}::uuid[]) and v.wanted is distinct from v.found`;
  return Map.groupBy(rows, ({ id }) => id);
}
