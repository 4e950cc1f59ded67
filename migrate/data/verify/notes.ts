/** What a load noted beside a range's rows (adjustments, kept originals), against what its documents make it note. */
import type postgres from "postgres";
import { shorten } from "./explain.ts";
import { storable } from "../ledger/ledger.ts";
import type { Mismatch } from "./mismatch.ts";
import type { Range, RawDocument } from "../documents/source.ts";
import type { Taken } from "../lens/tables.ts";

interface Wanted {
  id: string;
  /** `rule at path`, sorted. */
  adjustments: string;
  original: string | null;
}

const sayAdjustments = (notes: readonly { rule: string; path: string }[]) =>
  notes.map(({ rule, path }) => `${rule} at '${storable(path)}'`).sort().join(", ");

/** Ranges of a source that have such notes, as `collection/number`. */
export async function listNoted(sql: postgres.ISql, fingerprint: string): Promise<Set<string>> {
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

/** The notes wanted of one range. */
export class WantedNotes {
  readonly #wanted = new Map<number, Wanted>();

  add(raw: RawDocument, { id, adjustments, keepOriginal }: Extract<Taken, { keepOriginal: boolean }>): void {
    if (adjustments.length === 0 && !keepOriginal) return;
    this.#wanted.set(raw.position, {
      id,
      adjustments: sayAdjustments(adjustments),
      original: keepOriginal ? raw.original().toBase64() : null,
    });
  }

  get isEmpty(): boolean {
    return this.#wanted.size === 0;
  }

  /** Notes each document whose notes are others. */
  async compare(
    sql: postgres.ISql,
    fingerprint: string,
    { collection, number }: Range,
    note: (mismatch: Mismatch) => void,
  ): Promise<void> {
    const found = await sql<
      { position: number; rules: { rule: string; path: string }[]; original: string | null }[]
    >`
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
    // A document that was there already brought no notes.
    const left = await sql`
      select position::float8 as position
      from migration.exclusions
      where fingerprint = ${fingerprint} and collection = ${collection}
        and position = any (${[...this.#wanted.keys()]}::bigint[])`;
    const there = new Map(found.map((row) => [row.position, row]));
    const excluded = new Set(left.map(({ position }) => position));
    for (const position of new Set([...this.#wanted.keys(), ...there.keys()])) {
      if (excluded.has(position)) continue;
      const wanted = this.#wanted.get(position);
      const row = there.get(position);
      const common = {
        collection,
        document_id: wanted?.id ?? `position ${position}`,
        cause: "ledger" as const,
      };
      const say = (path: string, source: string | null, kept: string | null) => {
        if (source === kept) return;
        const source_value = source && shorten(source);
        const row_value = kept && shorten(kept);
        note({ ...common, kind: "ledger_changed", path, source_value, row_value });
      };
      say("(adjustments)", wanted?.adjustments || null, sayAdjustments(row?.rules ?? []) || null);
      say("(original)", wanted?.original ?? null, row?.original ?? null);
    }
  }
}
