/**
 * The common part of the three lenses: converts the fields of a document to columns, and records everything
 * that a column cannot represent. Columns are texts in PostgreSQL's output form, so that they compare with
 * rows that are read back as text; null is SQL null.
 */
import { isStorable, toStorable, writeLossless, writePlain } from "../documents/ejson_write.ts";
import { BsonDocument, type BsonValue, DateMs, findFault, ObjectId } from "../documents/tree.ts";
import { int8, type IntegerRange, readWhole } from "./numbers.ts";
import {
  clamp,
  isInRange,
  type ParsedTime,
  readDateTag,
  readIsoText,
  writeTime,
} from "../documents/times.ts";

/** A change of a value, made by a rule to fit a column. `path` is the field. */
export interface Adjustment {
  rule: string;
  path: string;
}

/** The reason why a document gets no row, for the quarantine. */
export interface Rejection {
  reason: string;
  path: string;
  detail: string;
}

/** Texts in PostgreSQL's output form by column. */
export type Row<C extends string = string> = Record<C, string | null>;

/** The result of a lens. */
export type Mapped<C extends string> = { row: Row<C>; adjustments: Adjustment[] } | { rejected: Rejection };

/** The shape of a generation of documents. */
export interface Template {
  /** The fields in document order. */
  fields: readonly string[];
  /** The fields that are rebuilt from columns. The others are kept in `extra`. */
  columns: ReadonlySet<string>;
}

/** Returns a value with its type, shortened, for messages. */
export function describeValue(value: BsonValue | undefined): string {
  if (value === undefined) return "nothing";
  const text = writeLossless(value);
  return text.length > 120 ? `${text.slice(0, 117)}...` : text;
}

/** A row in the making: reads fields as columns and collects what goes to `extra` and to the ledger. */
export class Draft {
  readonly adjustments: Adjustment[] = [];
  rejected: Rejection | undefined;
  /** Fields with a column whose own value goes to `extra` as well. */
  readonly #keptFields = new Set<string>();

  constructor(readonly document: BsonDocument, readonly template: Template) {
    const fault = findFault(document);
    if (fault) this.reject(fault.reason, fault.path, `at '${fault.path}'`);
    if (document.get("_id") === undefined) this.reject("missing_id", "_id", "the document has no _id");
  }

  get(name: string): BsonValue | undefined {
    return this.document.get(name);
  }

  /** Rejects the document. Only the first reason counts. */
  reject(reason: string, path: string, detail: string): void {
    this.rejected ??= { reason, path, detail };
  }

  /** Keeps the field's value in `extra`, because the column holds less information. */
  keep(name: string): void {
    this.#keptFields.add(name);
  }

  /** Keeps the field's value, and records the rule that gave the column another value. */
  adjust(rule: string, name: string): void {
    if (this.get(name) !== undefined) this.keep(name);
    this.adjustments.push({ rule, path: name });
  }

  /** Returns a text column. */
  text(name: string, fallback: string | null): string | null {
    const value = this.get(name);
    if (value === undefined) return fallback;
    if (value === null) {
      if (fallback !== null) this.keep(name);
      return fallback;
    }
    if (typeof value !== "string") {
      this.adjust("text_from_value", name);
      return fallback === null ? writePlain(value).text : fallback;
    }
    if (isStorable(value)) return value;
    this.adjust("text_escaped", name);
    return toStorable(value);
  }

  /** Returns an integer column. */
  whole(name: string, range: IntegerRange, fallback: string | null): string | null {
    const value = this.get(name);
    if (value === undefined) return fallback;
    if (value === null) {
      if (fallback !== null) this.keep(name);
      return fallback;
    }
    const { number, isExact, rule } = readWhole(value, range);
    if (rule !== undefined) this.adjust(rule, name);
    else if (!isExact) this.keep(name);
    return number === undefined ? fallback : String(number);
  }

  /** Returns a boolean column. */
  flag(name: string, fallback: "t" | "f"): "t" | "f" {
    const value = this.get(name);
    if (value === undefined) return fallback;
    if (typeof value === "boolean") return value ? "t" : "f";
    if (value === null) {
      this.keep(name);
      return fallback;
    }
    const text = typeof value === "string"
      ? value.trim().toLowerCase()
      : String(readWhole(value, int8).number);
    const known = ({ true: "t", "1": "t", yes: "t", false: "f", "0": "f", no: "f" } as const)[text];
    this.adjust(known === undefined ? "flag_unreadable" : "flag_from_value", name);
    return known ?? fallback;
  }

  /**
   * Returns a timestamp column, from the first source that has a time: a date; a text that is a date;
   * `fallbackMs`. A `{"$date":"…"}` whose text mongoimport rejects is no date (see readDateTag()), so it
   * counts as adjusted.
   */
  time(name: string, fallbackMs: number): string {
    const value = this.get(name);
    if (value instanceof DateMs) {
      if (isInRange(value.ms)) return writeTime(value.ms);
      this.adjust("time_out_of_range", name);
      return writeTime(clamp(value.ms));
    }
    const read = readTimeText(value);
    if (typeof read === "number") {
      this.adjust("time_from_text", name);
      return writeTime(clamp(read));
    }
    const isMissing = value === undefined || value === null;
    this.adjust(
      isMissing ? "time_missing" : read === "nonexistent" ? "time_nonexistent" : "time_no_date",
      name,
    );
    return writeTime(fallbackMs);
  }

  /** Returns a json column with plain JSON: `fallback` if the field is missing. */
  json(name: string, fallback: string | null): string | null {
    const value = this.get(name);
    if (value === undefined) return fallback;
    if (value === null) return fallback === null ? null : "null";
    const { text, isLossy, isEscaped } = writePlain(value);
    if (isEscaped) this.adjust("text_escaped", name);
    else if (isLossy) this.keep(name);
    return text;
  }

  /** Returns the time in an ObjectId, or the start of 1970, for documents without a time. */
  idTime(): number {
    const id = this.get("_id");
    return id instanceof ObjectId ? parseInt(id.hex.slice(0, 8), 16) * 1000 : 0;
  }

  /**
   * Returns the `extra` column: kept and unknown fields, missing fields, and the field order if it is
   * unusual.
   */
  extra(): string | null {
    const { document: { keys, values }, template } = this;
    const present = new Set(keys);
    const parts: string[] = [];
    const missing = template.fields.filter((name) => template.columns.has(name) && !present.has(name));
    if (missing.length > 0) parts.push(`"$absent":${JSON.stringify(missing)}`);
    const order = defaultOrder(template, present, keys);
    if (order.some((name, i) => name !== keys[i])) {
      parts.push(`"$order":${writeLossless(keys.map(escapeKey))}`);
    }
    const fields = keys.map((name, i): [string, BsonValue] => [name, values[i]!])
      .filter(([name]) => this.#keptFields.has(name) || !template.columns.has(name));
    const unstorable = fields.filter(([name]) => !isStorable(name));
    for (const [name, value] of fields) {
      if (isStorable(name)) parts.push(`${JSON.stringify(escapeKey(name))}:${writeLossless(value)}`);
    }
    if (unstorable.length > 0) {
      const names = unstorable.map(([name]) => name);
      const documents = new BsonDocument(names, unstorable.map(([, value]) => value));
      parts.push(`"$odd":${writeLossless(documents)}`);
    }
    return parts.length === 0 ? null : `{${parts.join()}}`;
  }
}

// See rebuild.ts for the format of `extra`.
const escapeKey = (name: string) => name.startsWith("$") ? `$${name}` : name;

/** Returns the field order that rebuild() yields without `$order`. */
function defaultOrder(template: Template, present: ReadonlySet<string>, keys: readonly string[]): string[] {
  const known = new Set(template.fields);
  const unknown = keys.filter((name) => !known.has(name));
  return [
    ...template.fields.filter((name) => present.has(name)),
    ...unknown.filter(isStorable),
    ...unknown.filter((name) => !isStorable(name)),
  ];
}

/** Reads a text as a time, and a document `{"$date":"…"}` that is no date in its source. */
function readTimeText(value: BsonValue | undefined): ParsedTime {
  if (typeof value === "string") return readIsoText(value);
  if (!(value instanceof BsonDocument) || value.keys.join() !== "$date") return undefined;
  const [text] = value.values;
  return typeof text === "string" ? readDateTag(text) : undefined;
}
