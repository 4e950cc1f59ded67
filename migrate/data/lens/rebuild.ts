/**
 * Rebuilds documents from rows: converts columns back to values, and merges them with the column `extra`.
 *
 * At the top level of `extra`, `$absent` lists the missing fields, `$order` the fields in an unusual order, and `$odd`
 * holds the fields whose names PostgreSQL cannot store. A field `$x` of a document is written as `$$x`.
 */
import { readDocument, readValue } from "../documents/ejson_read.ts";
import { BsonDocument, type BsonValue, DateMs } from "../documents/tree.ts";
import { readTime } from "../documents/times.ts";
import type { Template } from "./draft.ts";

const unescapeKey = (name: string) => name.startsWith("$$") ? name.slice(1) : name;

/** Converts columns back to values of documents. */
export const readers = {
  text: (text: string | null): BsonValue => text,
  /** Yields an int32 where one is possible, like pymongo, else an int64. */
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

/** The content of `extra`. */
interface Extra {
  fields: Map<string, BsonValue>;
  missing: ReadonlySet<string>;
  order: string[] | undefined;
}

function readExtra(text: string | null): Extra {
  const fields = new Map<string, BsonValue>();
  const tree = text === null ? undefined : readDocument(text, "lossless");
  let missing: string[] = [];
  let order: string[] | undefined;
  tree?.keys.forEach((key, i) => {
    const value = tree.values[i]!;
    if (key === "$absent") missing = value as string[];
    else if (key === "$order") order = (value as string[]).map(unescapeKey);
    else if (key === "$odd") {
      const unstorable = value as BsonDocument;
      unstorable.keys.forEach((name, n) => fields.set(name, unstorable.values[n]!));
    } else fields.set(unescapeKey(key), value);
  });
  return { fields, missing: new Set(missing), order };
}

/**
 * Rebuilds a document from its row.
 *
 * @param readColumn returns the value that a field of the template has in the columns
 */
export function rebuild(
  template: Template,
  extraText: string | null,
  readColumn: (name: string) => BsonValue,
): BsonDocument {
  const { fields, missing, order } = readExtra(extraText);
  const values = new Map<string, BsonValue>();
  for (const name of template.fields) {
    const kept = fields.get(name);
    if (kept !== undefined) values.set(name, kept);
    else if (template.columns.has(name) && !missing.has(name)) values.set(name, readColumn(name));
  }
  for (const [name, value] of fields) values.set(name, value);
  const keys = order ?? [...values.keys()];
  return new BsonDocument(keys, keys.map((name) => values.get(name) ?? null));
}
