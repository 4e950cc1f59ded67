/**
 * What the three lenses share: taking a document's fields into columns while noting whatever a column cannot
 * say. Columns are texts in PostgreSQL's own output form (null: SQL null), so a row read back compares as text.
 */
import { readDocument, readValue } from "../documents/ejson_read.ts";
import { isStorable, show, toStorable, writeLossless } from "../documents/ejson_write.ts";
import {
  BsonDocument,
  type BsonValue,
  DateMs,
  Double,
  findFault,
  ObjectId,
  Special,
} from "../documents/tree.ts";
import { clamp, isInRange, readIsoText, readTime, writeTime } from "../documents/times.ts";

/** A column's value where the document's was no match; `path` is the field. */
export interface Adjustment {
  rule: string;
  path: string;
}

/** Why a document gets no row, for the quarantine. */
export interface Rejection {
  reason: string;
  path: string;
  detail: string;
}

/** Column names to texts in PostgreSQL's output form. */
export type Row<C extends string = string> = Record<C, string | null>;

export type Mapped<C extends string> = { row: Row<C>; adjustments: Adjustment[] } | { rejected: Rejection };

/** What a generation of documents looks like: its fields in their order, and which of them have a column. */
export interface Template {
  fields: readonly string[];
  /** Of `fields`, those that are rebuilt from columns; the others live in `extra`. */
  columns: ReadonlySet<string>;
}

/** Says a value and its type for a message, shortened. */
export function describeValue(value: BsonValue | undefined): string {
  if (value === undefined) return "nothing";
  const text = writeLossless(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

const intTextPattern = /^\s*-?\d{1,18}\s*$/;

/** One document on its way to a row. */
export class Draft {
  readonly adjustments: Adjustment[] = [];
  rejected: Rejection | undefined;
  readonly #kept = new Set<string>();

  constructor(readonly document: BsonDocument, readonly template: Template) {
    const fault = findFault(document);
    if (fault) this.reject(fault.reason, fault.path, `at '${fault.path}'`);
    if (document.get("_id") === undefined) this.reject("missing_id", "_id", "the document has no _id");
  }

  get(name: string): BsonValue | undefined {
    return this.document.get(name);
  }

  /** Only the first reason counts. */
  reject(reason: string, path: string, detail: string): void {
    this.rejected ??= { reason, path, detail };
  }

  /** The field's own value goes to `extra`, because the column says less. */
  keep(name: string): void {
    this.#kept.add(name);
  }

  /** As keep(), and the ledger is told by which rule the column got another value. */
  adjust(rule: string, name: string): void {
    if (this.get(name) !== undefined) this.keep(name);
    this.adjustments.push({ rule, path: name });
  }

  /** A text column. */
  text(name: string, fallback: string | null): string | null {
    const value = this.get(name);
    if (value === undefined) return fallback;
    if (value === null) {
      if (fallback !== null) this.keep(name);
      return fallback;
    }
    if (typeof value !== "string") {
      this.adjust("text_from_value", name);
      return fallback === null ? show(value).text : fallback;
    }
    if (isStorable(value)) return value;
    this.adjust("text_escaped", name);
    return toStorable(value);
  }

  /** A whole number from `least` to `most`. */
  whole(name: string, [least, most]: readonly [bigint, bigint], fallback: string | null): string | null {
    const value = this.get(name);
    if (value === undefined) return fallback;
    if (value === null) {
      if (fallback !== null) this.keep(name);
      return fallback;
    }
    const { number, exact, rule } = toWhole(value);
    if (number === undefined) {
      this.adjust(rule, name);
      return fallback;
    }
    if (number < least || number > most) {
      this.adjust("number_out_of_range", name);
      return fallback;
    }
    if (rule !== "") this.adjust(rule, name);
    else if (!exact) this.keep(name);
    return String(number);
  }

  /** A boolean column: `t` or `f`. */
  flag(name: string, fallback: "t" | "f"): "t" | "f" {
    const value = this.get(name);
    if (value === undefined) return fallback;
    if (typeof value === "boolean") return value ? "t" : "f";
    if (value === null) {
      this.keep(name);
      return fallback;
    }
    const given = typeof value === "string" ? value.trim().toLowerCase() : String(toWhole(value).number);
    const known = ({ true: "t", "1": "t", yes: "t", false: "f", "0": "f", no: "f" } as const)[given];
    this.adjust(known === undefined ? "flag_unreadable" : "flag_from_value", name);
    return known ?? fallback;
  }

  /** A timestamp column; `fallbackMs` where the document has no time that can be read. */
  time(name: string, fallbackMs: number): string {
    const value = this.get(name);
    if (value instanceof DateMs) {
      if (isInRange(value.ms)) return writeTime(value.ms);
      this.adjust("time_out_of_range", name);
      return writeTime(clamp(value.ms));
    }
    const ms = typeof value === "string" ? readIsoText(value) : undefined;
    this.adjust(ms === undefined ? "time_missing" : "time_from_text", name);
    return writeTime(ms === undefined ? fallbackMs : clamp(ms));
  }

  /** A json column: plain JSON; null and absent give `fallback`. */
  json(name: string, fallback: string | null): string | null {
    const value = this.get(name);
    if (value === undefined) return fallback;
    if (value === null) return fallback === null ? null : "null";
    const { text, lossy, escaped } = show(value);
    if (escaped) this.adjust("text_escaped", name);
    else if (lossy) this.keep(name);
    return text;
  }

  /** Milliseconds in an ObjectId, else the start of 1970: where a document names no time. */
  idTime(): number {
    const id = this.get("_id");
    return id instanceof ObjectId ? parseInt(id.hex.slice(0, 8), 16) * 1000 : 0;
  }

  /** The `extra` column: kept and unknown fields, absent ones, and the order where it is another. */
  extra(): string | null {
    const { document: { keys, values }, template } = this;
    const present = new Set(keys);
    const parts: string[] = [];
    const absent = template.fields.filter((name) => template.columns.has(name) && !present.has(name));
    if (absent.length > 0) parts.push(`"$absent":${JSON.stringify(absent)}`);
    const usual = usualOrder(template, present, keys);
    if (usual.some((name, i) => name !== keys[i])) {
      parts.push(`"$order":${writeLossless(keys.map(escapeKey))}`);
    }
    const fields = keys.map((name, i): [string, BsonValue] => [name, values[i]!])
      .filter(([name]) => this.#kept.has(name) || !template.columns.has(name));
    const odd = fields.filter(([name]) => !isStorable(name));
    for (const [name, value] of fields) {
      if (isStorable(name)) parts.push(`${JSON.stringify(escapeKey(name))}:${writeLossless(value)}`);
    }
    if (odd.length > 0) {
      parts.push(`"$odd":${writeLossless(new BsonDocument(odd.map(([n]) => n), odd.map(([, v]) => v)))}`);
    }
    return parts.length === 0 ? null : `{${parts.join()}}`;
  }
}

// `$absent`, `$order` and `$odd` are ours at the top of `extra`; a document's own `$x` is written `$$x`.
const escapeKey = (name: string) => name.startsWith("$") ? `$${name}` : name;
const unescapeKey = (name: string) => name.startsWith("$$") ? name.slice(1) : name;

function usualOrder(template: Template, present: ReadonlySet<string>, keys: readonly string[]): string[] {
  const known = new Set(template.fields);
  const unknown = keys.filter((name) => !known.has(name));
  return [
    ...template.fields.filter((name) => present.has(name)),
    ...unknown.filter(isStorable),
    ...unknown.filter((name) => !isStorable(name)),
  ];
}

/** A whole number out of any number type; `rule` names how, empty for an int or a float without fraction. */
function toWhole(value: BsonValue): { number?: bigint; exact: boolean; rule: string } {
  if (typeof value === "number" || typeof value === "bigint") {
    // An int64 that an int32 could hold comes back as int32.
    const exact = typeof value === "number" || BigInt.asIntN(32, value) !== value;
    return { number: BigInt(value), exact, rule: "" };
  }
  if (value instanceof Double) {
    return Number.isInteger(value.value)
      ? { number: BigInt(value.value), exact: false, rule: "" }
      : { exact: false, rule: "number_not_whole" };
  }
  const text = typeof value === "string"
    ? value
    : value instanceof Special
    ? /^\{"\$numberDecimal":"(.*)"\}$/.exec(value.text)?.[1] ?? ""
    : "";
  return intTextPattern.test(text)
    ? {
      number: BigInt(text.trim()),
      exact: false,
      rule: typeof value === "string" ? "number_from_text" : "number_from_decimal",
    }
    : { exact: false, rule: "number_unreadable" };
}

/** Reads a column back as the document's value; undefined where the column cannot be read. */
export const readers = {
  text: (text: string | null): BsonValue => text,
  /** An int32 where it fits, as pymongo wrote it, else an int64. */
  whole: (text: string | null): BsonValue => {
    if (text === null) return null;
    const number = BigInt(text);
    return number >= -0x80000000n && number <= 0x7fffffffn ? Number(number) : number;
  },
  flag: (text: string | null): BsonValue => text === "t",
  time: (text: string | null): BsonValue => {
    const ms = text === null ? undefined : readTime(text);
    return ms === undefined ? null : new DateMs(ms);
  },
  json: (text: string | null): BsonValue => text === null ? null : readValue(text, "plain"),
} as const;

/** The fields of `extra` and its notes. */
interface Extra {
  fields: Map<string, BsonValue>;
  absent: ReadonlySet<string>;
  order: string[] | undefined;
}

function readExtra(text: string | null): Extra {
  const fields = new Map<string, BsonValue>();
  const tree = text === null ? undefined : readDocument(text, "lossless");
  let absent: string[] = [];
  let order: string[] | undefined;
  tree?.keys.forEach((key, i) => {
    const value = tree.values[i]!;
    if (key === "$absent") absent = value as string[];
    else if (key === "$order") order = (value as string[]).map(unescapeKey);
    else if (key === "$odd") {
      const odd = value as BsonDocument;
      odd.keys.forEach((name, n) => fields.set(name, odd.values[n]!));
    } else fields.set(unescapeKey(key), value);
  });
  return { fields, absent: new Set(absent), order };
}

/**
 * Puts a document together again.
 *
 * @param columns what a field of the template reads its columns as
 */
export function rebuild(
  template: Template,
  extraText: string | null,
  columns: (name: string) => BsonValue,
): BsonDocument {
  const { fields, absent, order } = readExtra(extraText);
  const values = new Map<string, BsonValue>();
  for (const name of template.fields) {
    const kept = fields.get(name);
    if (kept !== undefined) values.set(name, kept);
    else if (template.columns.has(name) && !absent.has(name)) values.set(name, columns(name));
  }
  for (const [name, value] of fields) values.set(name, value);
  const keys = order ?? [...values.keys()];
  return new BsonDocument(keys, keys.map((name) => values.get(name) ?? null));
}
