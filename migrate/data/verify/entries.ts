/** Compares the ledger's adjustments and originals of a range with those that its documents require. */
import type postgres from "postgres";
import { shorten } from "./differences.ts";
import { toStorable } from "../documents/ejson_write.ts";
import type { OnMismatch } from "./mismatch.ts";
import type { Range, RawDocument } from "../documents/source.ts";
import type { MappedRow } from "../lens/tables.ts";

interface ExpectedEntry {
  documentId: string;
  /** Sorted list of `rule at 'path'`. */
  adjustments: string;
  /** Original bytes in base64; null when the ledger must not have them. */
  original: string | null;
}

interface FoundEntry {
  position: number;
  rules: { rule: string; path: string }[];
  original: string | null;
}

/** Returns adjustments as one text, in any order the same. */
export const formatAdjustments = (adjustments: readonly { rule: string; path: string }[]): string =>
  adjustments.map(({ rule, path }) => `${rule} at '${toStorable(path)}'`).sort().join(", ");

/** Lists the ranges of a source that have adjustments or originals, as `collection/number`. */
export async function listRangesWithEntries(sql: postgres.ISql, fingerprint: string): Promise<Set<string>> {
  const rows = await sql`
    select collection || '/' || range_number as range
    from migration.adjustments
    where fingerprint = ${fingerprint}
    union
    select collection || '/' || range_number
    from migration.originals
    where fingerprint = ${fingerprint}`;
  return new Set(rows.map(({ range }) => range));
}

/** Entries that the documents of one range require. */
export class ExpectedEntries {
  readonly #expected = new Map<number, ExpectedEntry>();

  add(raw: RawDocument, { documentId, adjustments, keepOriginal }: MappedRow): void {
    if (adjustments.length === 0 && !keepOriginal) return;
    this.#expected.set(raw.position, {
      documentId,
      adjustments: formatAdjustments(adjustments),
      original: keepOriginal ? raw.original().toBase64() : null,
    });
  }

  get isEmpty(): boolean {
    return this.#expected.size === 0;
  }

  /** Reports each document whose entries in the ledger differ. */
  async compare(
    sql: postgres.ISql,
    fingerprint: string,
    range: Range,
    onMismatch: OnMismatch,
  ): Promise<void> {
    const found = new Map(
      (await listEntries(sql, fingerprint, range)).map((entry) => [entry.position, entry]),
    );
    const excluded = await this.#listExcluded(sql, fingerprint, range);
    for (const position of new Set([...this.#expected.keys(), ...found.keys()])) {
      if (excluded.has(position)) continue;
      const expected = this.#expected.get(position);
      const entry = found.get(position);
      const compare = (path: string, source: string | null, ledger: string | null) => {
        if (source === ledger) return;
        onMismatch({
          collection: range.collection,
          document_id: expected?.documentId ?? `position ${position}`,
          kind: "ledger_changed",
          path,
          source_value: source && shorten(source),
          row_value: ledger && shorten(ledger),
          cause: "ledger",
        });
      };
      const adjustments = formatAdjustments(entry?.rules ?? []) || null;
      compare("(adjustments)", expected?.adjustments || null, adjustments);
      compare("(original)", expected?.original ?? null, entry?.original ?? null);
    }
  }

  /** Returns the positions of documents that were already present when the source was loaded: they have no entries. */
  async #listExcluded(sql: postgres.ISql, fingerprint: string, { collection }: Range): Promise<Set<number>> {
    const rows = await sql`
      select position::float8 as position
      from migration.exclusions
      where fingerprint = ${fingerprint} and collection = ${collection}
        and position = any (${[...this.#expected.keys()]}::bigint[])`;
    return new Set(rows.map(({ position }) => position));
  }
}

async function listEntries(sql: postgres.ISql, fingerprint: string, { collection, number }: Range) {
  return await sql<FoundEntry[]>`
    select coalesce(a.position, o.position)::float8 as position, coalesce(a.rules, '[]') as rules,
      translate(encode(o.original, 'base64'), E'\n', '') as original
    from (
      select position, json_agg(json_build_object('rule', rule, 'path', path)) as rules
      from migration.adjustments
      where fingerprint = ${fingerprint} and collection = ${collection} and range_number = ${number}
      group by position
    ) as a
    full join (
      select position, original
      from migration.originals
      where fingerprint = ${fingerprint} and collection = ${collection} and range_number = ${number}
    ) as o on o.position = a.position`;
}
