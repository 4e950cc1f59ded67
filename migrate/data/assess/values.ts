/** Checks of values: field types, similar e-mails, password hashes, and the form of the export. */
import { BsonDocument, type BsonValue, DateMs, Double, ObjectId, Special } from "../documents/tree.ts";
import type { Collection, RawDocument } from "../documents/source.ts";
import { inflect } from "../../../phrases.ts";

/** Number of documents by the type of a top-level field. Missing fields are not counted. */
export interface FieldTypes {
  path: string;
  types: Record<string, number>;
}

/** A condition that a load does not change, but that an operator should know. */
export interface Observation {
  what: string;
  documents: number;
  samples: string[];
}

const fieldsMax = 200;

function typeOf(value: BsonValue): string {
  if (value === null) return "null";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "number") return "int";
  if (typeof value === "bigint") return "long";
  if (value instanceof Double) return "double";
  if (value instanceof DateMs) return "date";
  if (value instanceof ObjectId) return "objectId";
  if (Array.isArray(value)) return "array";
  if (value instanceof BsonDocument) return "object";
  if (value instanceof Special) return /^\{"\$([A-Za-z]+)/.exec(value.text)?.[1] ?? "special";
  return "special";
}

/** Counts types by collection and field. Counts documents of the fast path as a whole, as their types are known. */
export class FieldTypeCounter {
  readonly #types = new Map<string, Map<string, Record<string, number>>>();
  readonly #fast: Record<string, number> = {};

  addFast(generation: string): void {
    this.#fast[generation] = (this.#fast[generation] ?? 0) + 1;
  }

  add(collection: Collection, raw: RawDocument): void {
    let document: BsonDocument;
    try {
      document = raw.read();
    } catch {
      return;
    }
    const fields = this.#types.get(collection) ?? new Map<string, Record<string, number>>();
    this.#types.set(collection, fields);
    document.keys.forEach((key, i) => {
      const path = fields.has(key) || fields.size < fieldsMax ? key : "(more fields)";
      const types = fields.get(path) ?? Object.create(null) as Record<string, number>;
      fields.set(path, types);
      const type = typeOf(document.values[i]!);
      types[type] = (types[type] ?? 0) + 1;
    });
  }

  list(collection: string): FieldTypes[] {
    const fields = [...this.#types.get(collection) ?? []].map(([path, types]) => ({
      path,
      types: { ...types },
    }));
    if (collection !== "dramatiq_tasks") return fields;
    const fast = Object.entries(this.#fast).map(([generation, documents]) => ({
      path: `(every field as in ${generation})`,
      types: { usual: documents },
    }));
    return [...fast, ...fields];
  }
}

const samplesMax = 5;
const normalize = (email: string) => email.trim().normalize("NFC").toLowerCase();

function schemeOf(hash: string): string {
  if (/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) return "bcrypt";
  return hash === "" ? "none" : /^\$([a-z0-9-]+)\$/i.exec(hash)?.[1] ?? "unknown";
}

/** Describes `users` users whose passwords cannot be checked. */
function describeScheme(scheme: string, users: number): string {
  const noun = inflect(users, "user", "users");
  if (scheme === "none") return `${noun} without a password: no sign-in until a password is set`;
  return `${noun} with a password hash of the unknown scheme '${scheme}': a new password is needed`;
}

/** Finds similar e-mails and unknown password hashes. */
export class UserChecker {
  readonly #emails = new Map<string, string[]>();
  readonly #idsByScheme = new Map<string, string[]>();

  add(email: string, hash: string, id: string): void {
    const key = normalize(email);
    this.#emails.set(key, [...this.#emails.get(key) ?? [], email]);
    const scheme = schemeOf(hash);
    this.#idsByScheme.set(scheme, [...this.#idsByScheme.get(scheme) ?? [], id]);
  }

  /** Lists the observations over all users. */
  list(): Observation[] {
    const similar = [...this.#emails.values()].filter((emails) => emails.length > 1);
    const observations: Observation[] = [];
    if (similar.length > 0) {
      observations.push({
        what: "e-mails differ only in case, spaces or Unicode composition: they stay different users",
        documents: similar.reduce((sum, emails) => sum + emails.length, 0),
        samples: similar.slice(0, samplesMax).map((emails) => emails.join(" and ")),
      });
    }
    for (const [scheme, ids] of this.#idsByScheme) {
      if (scheme === "bcrypt") continue;
      const samples = ids.slice(0, samplesMax);
      observations.push({ what: describeScheme(scheme, ids.length), documents: ids.length, samples });
    }
    return observations;
  }
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const [openingBrace, closingBrace] = encoder.encode("{}");

/** Reports whether a document is relaxed Extended JSON, which has numbers or dates without type tags. */
export function isRelaxed(original: Uint8Array): boolean {
  // BSON ends with a zero byte.
  if (original[0] !== openingBrace || original.at(-1) !== closingBrace) return false;
  const text = decoder.decode(original);
  // The canonical form tags every number, and its dates are numbers.
  return /"\$date"\s*:\s*"/.test(text) || /"[^"\\]*"\s*:\s*-?\d/.test(text);
}
