/**
 * Ranges of a source against their rows: first one digest a range, over the rows in the documents' order; only where
 * it differs, row by row. While the server sends the rows of one range, the next is taken through the lens.
 */
import { createHash } from "node:crypto";
import type postgres from "postgres";
import { AppError } from "../../../errors.ts";
import { copyDigest, copyOut, encodeLine } from "../tools/copy.ts";
import { writeCanonical } from "../documents/ejson_write.ts";
import { type Expected, explain, idOf, shorten } from "./explain.ts";
import { failpoint } from "../tools/failpoint.ts";
import { toUsualLine } from "../lens/fast_subtask.ts";
import { listRowless, listRowlessRanges } from "../ledger/ledger.ts";
import type { FindParent } from "../lens/subtasks.ts";
import type { Mismatch } from "./mismatch.ts";
import { loserKey, type Plan } from "../load/plan.ts";
import type { Collection, Range, RawDocument, Source } from "../documents/source.ts";
import { tables, take } from "../lens/tables.ts";
import { listNoted, WantedNotes } from "./notes.ts";
import { Findings } from "./result.ts";

type Kept = ReadonlyMap<number, Uint8Array | null>;
type OnRow = (key: string, raw: RawDocument, line: string) => void;

const encoder = new TextEncoder();

/** UTF-16 units hashed at a time, about. */
const unitsAtOnce = 65_536;

/** What a range comes to: the keys of its rows, and SHA-256 of them as COPY prints them, in hex. */
class Digest {
  readonly keys: string[] = [];
  readonly #hash = createHash("sha256");
  #lines: string[] = [];
  #units = 0;

  add(key: string, line: string): void {
    this.keys.push(key);
    this.#lines.push(line);
    this.#units += line.length;
    if (this.#units >= unitsAtOnce) this.#flush();
  }

  #flush(): void {
    this.#hash.update(encoder.encode(`${this.#lines.join("\n")}\n`));
    this.#lines = [];
    this.#units = 0;
  }

  take(): string {
    if (this.#lines.length > 0) this.#flush();
    return this.#hash.digest("hex");
  }
}

interface Wanted {
  keys: string[];
  digest: string;
  notes: WantedNotes;
  found: Findings;
}

/** What a pass over the documents of a range goes by, and whom it tells. */
interface Pass {
  kept: Kept;
  notes: WantedNotes;
  found: Findings;
  onRow: OnRow;
}

export interface RunOptions {
  signal: AbortSignal | undefined;
  /** Hears what was found of each range, in order. */
  onRange: (range: Range, found: Findings) => Promise<void>;
}

/** Compares ranges one after the other. */
export class Verifier {
  /** Ranges that have documents without a row. */
  #rowless = new Set<string>();
  /** Ranges with notes beside their rows. */
  #noted = new Set<string>();

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

  /** Originals of the documents of a range that have no row, by position. */
  async #findKept({ collection, number }: Range): Promise<Kept> {
    if (!this.#rowless.has(`${collection}/${number}`)) return new Map();
    const rowless = await listRowless(this.sql, this.plan.fingerprint, collection, number);
    return new Map(rowless.map(({ position, original }) => [position, original]));
  }

  /** Goes through the documents of a range in their order; those without a row are compared with the quarantine. */
  #pass({ collection }: Range, raws: Iterable<RawDocument>, pass: Pass): void {
    const { kept, found, onRow } = pass;
    for (const raw of raws) {
      found.documents++;
      const original = kept.get(raw.position);
      if (original !== undefined) {
        found.quarantined++;
        compareQuarantine(collection, raw, original, found);
        continue;
      }
      const usual = raw.line === undefined || collection !== "dramatiq_tasks"
        ? undefined
        : toUsualLine(raw.line, this.findParent);
      if (usual) onRow(`${usual.parent}\t${usual.id}`, raw, usual.copy);
      else this.#passGeneral(collection, raw, pass);
    }
  }

  #passGeneral(collection: Collection, raw: RawDocument, { notes, found, onRow }: Pass): void {
    const taken = take(collection, raw, this.findParent);
    if ("rejected" in taken || (!this.isLoaded && this.plan.losers.has(loserKey(collection, raw.position)))) {
      if (!this.isLoaded) return void found.quarantined++;
      const reason = "rejected" in taken ? taken.rejected.reason : "duplicate";
      return found.note({
        collection,
        document_id: taken.id,
        kind: "quarantine_changed",
        path: "",
        source_value: reason,
        row_value: null,
        cause: "ledger",
      });
    }
    notes.add(raw, taken);
    const { row } = taken;
    const key = collection === "dramatiq_tasks" ? `${row.parent_task_id}\t${row.id}` : row.id!;
    onRow(key, raw, encodeLine(tables[collection].columns.map((column) => row[column]!)));
  }

  /**
   * Compares ranges, in order.
   *
   * @throws AppError interrupted, source_changed; what was found before is told by then
   */
  async run(source: Source, ranges: readonly Range[], { signal, onRange }: RunOptions): Promise<void> {
    if (this.isLoaded) {
      this.#rowless = await listRowlessRanges(this.sql, this.plan.fingerprint);
      this.#noted = await listNoted(this.sql, this.plan.fingerprint);
    }
    const prepare = async (range: Range) => {
      const kept = await this.#findKept(range);
      const raws = await source.read(range);
      return () => this.#digest(range, raws, kept);
    };
    let next = ranges[0] && await prepare(ranges[0]);
    let wanted = next?.();
    // Told of the one before; meanwhile the server is at this one.
    let told = Promise.resolve();
    for (const [i, range] of ranges.entries()) {
      if (signal?.aborted) break;
      const { keys, digest, notes, found } = wanted!;
      next = ranges[i + 1] && await prepare(ranges[i + 1]!);
      // The server is at it meanwhile; a failure is heard of below.
      const has = keys.length === 0 ? digest : copyDigest(this.sql, selectRows(range.collection, keys));
      if (typeof has !== "string") has.catch(() => {});
      wanted = next?.();
      if (await has === digest) found.rows += keys.length;
      else await this.#compare(source, range, found);
      if (this.isLoaded && (!notes.isEmpty || this.#noted.has(`${range.collection}/${range.number}`))) {
        await notes.compare(this.sql, this.plan.fingerprint, range, (mismatch) => found.note(mismatch));
      }
      failpoint("verify.compared");
      await told;
      told = onRange(range, found);
      told.catch(() => {});
    }
    await told;
    if (!signal?.aborted) return;
    throw new AppError(
      "interrupted",
      "verifying: stopped as asked; run the same command again, it goes on where it was",
    );
  }

  #digest(range: Range, raws: Iterable<RawDocument>, kept: Kept): Wanted {
    const digest = new Digest();
    const notes = new WantedNotes();
    const found = new Findings();
    this.#pass(range, raws, { kept, notes, found, onRow: (key, _raw, line) => digest.add(key, line) });
    failpoint("verify.digested");
    return { keys: digest.keys, digest: digest.take(), notes, found };
  }

  /** Row by row; the documents are read once more. */
  async #compare(source: Source, range: Range, found: Findings): Promise<void> {
    const { collection } = range;
    const expected = new Map<string, Expected>();
    const onRow: OnRow = (key, raw, line) => void expected.set(key, { raw, line });
    const kept = await this.#findKept(range);
    // Of what has no row the first pass has told.
    const silent = { notes: new WantedNotes(), found: new Findings() };
    this.#pass(range, await source.read(range), { kept, ...silent, onRow });
    const cause = causeOf(this.plan.fingerprint, range);
    for await (const text of copyOut(this.sql, selectRows(collection, [...expected.keys()], cause))) {
      const at = text.indexOf("\t");
      const line = text.slice(at + 1);
      const key = keyOf(collection, line);
      const want = expected.get(key);
      if (!want) continue;
      expected.delete(key);
      found.rows++;
      if (want.line === line) continue;
      const row = { found: line, cause: text.slice(0, at) as Mismatch["cause"] };
      explain(collection, want, row, (mismatch) => found.note(mismatch));
      failpoint("verify.explained");
    }
    for (const { raw } of expected.values()) {
      found.note({
        collection,
        document_id: idOf(raw.read()),
        kind: "missing_row",
        path: "",
        source_value: shorten(writeCanonical(raw.read())),
        row_value: null,
        cause: this.isLoaded ? "deleted" : "not_loaded",
      });
    }
  }
}

function compareQuarantine(
  collection: Collection,
  raw: RawDocument,
  original: Uint8Array | null,
  found: Findings,
): void {
  const bytes = raw.original();
  if (
    original !== null && bytes.length === original.length && bytes.every((byte, i) => byte === original[i])
  ) {
    return;
  }
  found.note({
    collection,
    document_id: `position ${raw.position}`,
    kind: "quarantine_changed",
    path: "",
    source_value: shorten(new TextDecoder().decode(bytes)),
    row_value: original === null ? null : shorten(new TextDecoder().decode(original)),
    cause: "ledger",
  });
}

function keyOf(collection: Collection, line: string): string {
  const end = line.indexOf("\t");
  return collection === "dramatiq_tasks" ? line.slice(0, line.indexOf("\t", end + 1)) : line.slice(0, end);
}

/**
 * Who wrote a row: one that its load wrote has the version of its range, or of the settling that counted it.
 *
 * @returns an expression over the row `t`; the fingerprint is hex digits
 */
const causeOf = (fingerprint: string, { collection, number }: Range): string =>
  `case
    when t.xmin in (
      select xmin from migration.ranges
      where fingerprint = '${fingerprint}' and collection = '${collection}' and number = ${number}
      union all
      select xmin from migration.sources) then 'rule'
    when t.updated_at > (select min(settled_at) from migration.sources) and t.updated_at <= now() then 'new_system'
    else 'outside_writer'
  end`;

/** Rows by key, in the order of the keys; `first` is an expression that goes before their columns. */
function selectRows(collection: Collection, keys: string[], first?: string): string {
  const { name, columns } = tables[collection];
  const list = columns.map((column) => `t.${column}`).join();
  const isSubtask = collection === "dramatiq_tasks";
  // The keys are uuids that the lens made or checked: nothing in them can leave the quotes.
  const array = (ids: string[]) => `'{${ids.join()}}'::uuid[]`;
  const ids = array(isSubtask ? keys.map((key) => key.slice(37)) : keys);
  const parents = isSubtask ? `, ${array(keys.map((key) => key.slice(0, 36)))}` : "";
  return `copy (
    select ${first === undefined ? "" : `${first}, `}${list}
    from unnest(${ids}${parents}) with ordinality as k (id${isSubtask ? ", parent" : ""}, place)
    join ${name} t on t.id = k.id${isSubtask ? " and t.parent_task_id = k.parent" : ""}
    order by k.place) to stdout`;
}
