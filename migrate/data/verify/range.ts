/**
 * Compares the ranges of a source with their rows. First compares one digest per range, over the rows in the order of
 * the documents. Only if the digests differ, compares row by row.
 */
import type postgres from "postgres";
import { AppError } from "../../../errors.ts";
import { copyDigest, copyOut } from "../tools/copy.ts";
import { writeCanonical } from "../documents/ejson_write.ts";
import { type Expected, findRowDifferences, idOf, shorten } from "./differences.ts";
import { failpoint } from "../tools/failpoint.ts";
import { listQuarantined, listQuarantinedRanges } from "../ledger/ledger.ts";
import type { FindParent } from "../lens/subtasks.ts";
import type { Mismatch } from "./mismatch.ts";
import { duplicateKey, type Plan } from "../load/plan.ts";
import type { Collection, Range, RawDocument, Source } from "../documents/source.ts";
import { encodeRow, keyOf, keyOfLine, mapDocument, openFastPath, tryFastPath } from "../lens/tables.ts";
import { isSameBytes } from "../documents/bytes.ts";
import { RangeDigest } from "./digest.ts";
import { ExpectedEntries, listRangesWithEntries } from "./entries.ts";
import { Comparison } from "./result.ts";
import { causeSql } from "./cause_sql.ts";
import { selectRows } from "../lens/select_rows.ts";

/** Original bytes of quarantined documents by position. */
type Originals = ReadonlyMap<number, Uint8Array | null>;
/** Receives the key and the COPY line of the row that a document requires. */
type OnRow = (key: string, raw: RawDocument, line: string) => void;

/** Everything that the documents of a range require. */
interface ExpectedRange {
  keys: string[];
  digest: string;
  entries: ExpectedEntries;
  comparison: Comparison;
}

/** Inputs and outputs of one pass over the documents of a range. */
interface Pass {
  originals: Originals;
  entries: ExpectedEntries;
  comparison: Comparison;
  /** Maps a document by the fast path. Returns false if that rejects it. */
  addFast: (raw: RawDocument) => boolean;
  /** Receives every other row. */
  onRow: OnRow;
}

export interface CompareOptions {
  signal: AbortSignal | undefined;
  /** Receives the result of each range, in order. */
  onRange: (range: Range, comparison: Comparison) => Promise<void>;
}

/** Compares ranges one after the other. */
export class Verifier {
  #rangesWithQuarantine = new Set<string>();
  #rangesWithEntries = new Set<string>();

  readonly isLoaded: boolean;
  readonly findParent: FindParent;

  constructor(
    readonly sql: postgres.ReservedSql,
    readonly plan: Plan,
    readonly options: { isLoaded: boolean; findParent: FindParent },
  ) {
    this.isLoaded = options.isLoaded;
    this.findParent = options.findParent;
  }

  /**
   * Compares ranges in order. While the server hashes the rows of one range, the documents of the next one pass
   * through the lens.
   *
   * @throws AppError interrupted, source_changed; onRange() has received all earlier results by then
   */
  async compareRanges(
    source: Source,
    ranges: readonly Range[],
    { signal, onRange }: CompareOptions,
  ): Promise<void> {
    if (this.isLoaded) {
      this.#rangesWithQuarantine = await listQuarantinedRanges(this.sql, this.plan.fingerprint);
      this.#rangesWithEntries = await listRangesWithEntries(this.sql, this.plan.fingerprint);
    }
    let digestNext = ranges[0] && await this.#readRange(source, ranges[0]);
    let expected = digestNext?.();
    let saved = Promise.resolve();
    for (const [i, range] of ranges.entries()) {
      if (signal?.aborted) break;
      const { keys, digest, entries, comparison } = expected!;
      digestNext = ranges[i + 1] && await this.#readRange(source, ranges[i + 1]!);
      const rowsDigest = keys.length === 0
        ? Promise.resolve(digest)
        : copyDigest(this.sql, selectRows(range.collection, keys));
      // A failure is thrown where the digest is awaited.
      rowsDigest.catch(() => {});
      expected = digestNext?.();
      if (await rowsDigest === digest) comparison.rows += keys.length;
      else await this.#compareRows(source, range, comparison);
      await this.#compareEntries(range, entries, comparison);
      failpoint("verify.compared");
      await saved;
      saved = onRange(range, comparison);
      saved.catch(() => {});
    }
    await saved;
    if (!signal?.aborted) return;
    throw new AppError(
      "interrupted",
      "verifying: stopped on request; run the same command again to continue",
    );
  }

  /** Reads the documents of a range. The returned function maps and hashes them. */
  async #readRange(source: Source, range: Range): Promise<() => ExpectedRange> {
    const originals = await this.#readOriginals(range);
    const raws = await source.read(range);
    return () => this.#digestRange(range, raws, originals);
  }

  async #readOriginals({ collection, number }: Range): Promise<Originals> {
    if (!this.#rangesWithQuarantine.has(`${collection}/${number}`)) return new Map();
    const quarantined = await listQuarantined(this.sql, this.plan.fingerprint, collection, number);
    return new Map(quarantined.map(({ position, original }) => [position, original]));
  }

  #digestRange(range: Range, raws: Iterable<RawDocument>, originals: Originals): ExpectedRange {
    const digest = new RangeDigest();
    const entries = new ExpectedEntries();
    const comparison = new Comparison();
    const fastPath = openFastPath(range.collection, this.findParent);
    const addFast = (raw: RawDocument) => digest.addFast(range.collection, fastPath, raw);
    const onRow: OnRow = (key, _raw, line) => digest.add(key, line);
    this.#mapDocuments(range, raws, { originals, entries, comparison, addFast, onRow });
    failpoint("verify.digested");
    return { keys: digest.keys, digest: digest.finish(), entries, comparison };
  }

  /** Maps the documents of a range in order, and compares quarantined ones with their original bytes. */
  #mapDocuments({ collection }: Range, raws: Iterable<RawDocument>, pass: Pass): void {
    const { originals, comparison, addFast } = pass;
    for (const raw of raws) {
      comparison.documents++;
      const original = originals.get(raw.position);
      if (original !== undefined) {
        comparison.quarantined++;
        compareOriginal(collection, raw, original, comparison);
        continue;
      }
      if (!addFast(raw)) this.#mapDocument(collection, raw, pass);
    }
  }

  #mapDocument(collection: Collection, raw: RawDocument, { entries, comparison, onRow }: Pass): void {
    const mapped = mapDocument(collection, raw, this.findParent);
    const isDuplicate = !this.isLoaded && this.plan.duplicates.has(duplicateKey(collection, raw.position));
    if ("rejected" in mapped || isDuplicate) {
      if (!this.isLoaded) return void comparison.quarantined++;
      return comparison.addMismatch({
        collection,
        document_id: mapped.documentId,
        kind: "quarantine_changed",
        path: "",
        source_value: "rejected" in mapped ? mapped.rejected.reason : "duplicate",
        row_value: null,
        cause: "ledger",
      });
    }
    entries.add(raw, mapped);
    onRow(keyOf(collection, mapped.row), raw, encodeRow(collection, mapped.row));
  }

  async #compareEntries(range: Range, entries: ExpectedEntries, comparison: Comparison): Promise<void> {
    if (!this.isLoaded) return;
    if (entries.isEmpty && !this.#rangesWithEntries.has(`${range.collection}/${range.number}`)) return;
    await entries.compare(
      this.sql,
      this.plan.fingerprint,
      range,
      (mismatch) => comparison.addMismatch(mismatch),
    );
  }

  /** Compares a range row by row. Reads its documents again. */
  async #compareRows(source: Source, range: Range, comparison: Comparison): Promise<void> {
    const { collection } = range;
    const expected = new Map<string, Expected>();
    const onRow: OnRow = (key, raw, line) => void expected.set(key, { raw, line });
    const addFast = (raw: RawDocument) => {
      const fast = tryFastPath(collection, raw, this.findParent);
      if (fast) onRow(fast.key, raw, fast.line);
      return fast !== undefined;
    };
    const originals = await this.#readOriginals(range);
    // The first pass has already counted documents and compared the quarantine.
    const ignored = { entries: new ExpectedEntries(), comparison: new Comparison() };
    this.#mapDocuments(range, await source.read(range), { originals, ...ignored, addFast, onRow });
    const cause = causeSql(this.plan.fingerprint, range);
    for await (
      const text of copyOut(this.sql, selectRows(collection, [...expected.keys()], { before: [cause] }))
    ) {
      const causeEnd = text.indexOf("\t");
      const line = text.slice(causeEnd + 1);
      const key = keyOfLine(collection, line);
      const document = expected.get(key);
      if (!document) continue;
      expected.delete(key);
      comparison.rows++;
      if (document.line === line) continue;
      const found = { line, cause: text.slice(0, causeEnd) as Mismatch["cause"] };
      findRowDifferences(collection, document, found, (mismatch) => comparison.addMismatch(mismatch));
      failpoint("verify.explained");
    }
    for (const { raw } of expected.values()) {
      const document = raw.read();
      comparison.addMismatch({
        collection,
        document_id: idOf(document),
        kind: "missing_row",
        path: "",
        source_value: shorten(writeCanonical(document)),
        row_value: null,
        cause: this.isLoaded ? "deleted" : "not_loaded",
      });
    }
  }
}

/** Compares a quarantined document with the bytes that the quarantine keeps. */
function compareOriginal(
  collection: Collection,
  raw: RawDocument,
  original: Uint8Array | null,
  comparison: Comparison,
): void {
  const bytes = raw.original();
  if (original !== null && isSameBytes(bytes, original)) return;
  comparison.addMismatch({
    collection,
    document_id: `position ${raw.position}`,
    kind: "quarantine_changed",
    path: "",
    source_value: shorten(new TextDecoder().decode(bytes)),
    row_value: original === null ? null : shorten(new TextDecoder().decode(original)),
    cause: "ledger",
  });
}
