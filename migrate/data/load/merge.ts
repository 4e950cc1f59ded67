/** Inserts rows whose key may exist already, and classifies the documents whose rows were not inserted. */
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { type Batch, copyColumns, quarantine, type UncertainRow } from "./batch.ts";
import { type CastCache, insertColumns } from "./rows.ts";
import { decodeLine } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { Collection } from "../documents/source.ts";
import { keySql, splitKeys, tables } from "../lens/tables.ts";

/** Removes the ledger entries of a row that was not inserted. */
function removeEntries({ entries }: Batch, { raw: { position }, adjusted }: UncertainRow): void {
  entries.tally[adjusted > 0 ? "adjusted" : "exact"]--;
  entries.adjusted = entries.adjusted.filter((entry) => entry.position !== position);
  entries.originals = entries.originals.filter((entry) => entry.position !== position);
}

/** Returns the `legacy_id` of the existing rows by key. */
async function findLegacyIds(sql: Sql, collection: Collection, keys: string[]): Promise<Map<string, string>> {
  const { name, keyColumns } = tables[collection];
  const conditions = keyColumns.map((column, i) => `${column} = any ($${i + 1}::uuid[])`);
  const rows = await sql.unsafe(
    `
    select ${keySql(collection)} as key, legacy_id
    from ${name}
    where ${conditions.join(" and ")}`,
    splitKeys(collection, keys),
  );
  return new Map(rows.map(({ key, legacy_id }) => [key, legacy_id]));
}

/**
 * Inserts the rows from arrays. A temporary table would need no arrays, but dropping one makes COMMIT wait for the
 * disk.
 *
 * @returns the keys of the inserted rows
 */
function insertLines(
  sql: Sql,
  collection: Collection,
  lines: string[],
  casts: CastCache,
): Promise<Set<string>> {
  const rows = lines.map(decodeLine);
  const values = copyColumns(collection).map((_, i) => rows.map((row) => row[i]!));
  return insertColumns(sql, collection, values, casts);
}

/** Describes why a document gets no row: a row that was not made from it has its key or its e-mail. */
function describeConflict(collection: Collection, legacyId: string | undefined) {
  const isEmail = legacyId === undefined && collection === "users";
  return {
    reason: isEmail ? "duplicate_email" : "duplicate_id",
    path: isEmail ? "email" : "id",
    detail: legacyId === undefined
      ? "a row of the target has the same key"
      : `the row of ${legacyId} has the same key`,
  };
}

/**
 * Inserts the uncertain rows of a batch. If the existing row has the same `_id`, the document is excluded as
 * `already_present`. If it has another `_id`, the document is quarantined.
 */
export async function insertUncertain(
  sql: postgres.ReservedSql,
  collection: Collection,
  batch: Batch,
  casts: CastCache,
): Promise<void> {
  const { uncertain, entries } = batch;
  const inserted = await insertLines(sql, collection, uncertain.map(({ line }) => line), casts);
  failpoint("merge.inserted");
  const conflicts = uncertain.filter(({ key }) => !inserted.has(key));
  if (conflicts.length === 0) return;
  const existing = await findLegacyIds(sql, collection, conflicts.map(({ key }) => key));
  for (const row of conflicts) {
    const { raw, documentId, key, legacyId } = row;
    removeEntries(batch, row);
    if (existing.get(key) === legacyId) {
      entries.excluded.push({ position: raw.position, document_id: documentId, rule: "already_present" });
      entries.tally.excluded++;
    } else quarantine(entries, raw, documentId, describeConflict(collection, existing.get(key)));
  }
}
