/** What an assessment notes of values: types by field, e-mails that nearly collide, hashes, and the form of the export. */
import { BsonDocument, type BsonValue, DateMs, Double, ObjectId, Special } from "../documents/tree.ts";
import type { Collection, RawDocument } from "../documents/source.ts";

/** How often a field at the top held a type; a field that is missing is not counted. */
export interface ShapeCount {
  path: string;
  types: Record<string, number>;
}

/** Something that a load takes as it is, and a person may want to know before. */
export interface Finding {
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

/** Types by collection and field; the usual newest subtasks are counted as a whole. */
export class ShapeCounter {
  readonly #shapes = new Map<string, Map<string, Record<string, number>>>();
  readonly #usual: Record<string, number> = {};

  addUsual(generation: string): void {
    this.#usual[generation] = (this.#usual[generation] ?? 0) + 1;
  }

  add(collection: Collection, raw: RawDocument): void {
    let document: BsonDocument;
    try {
      document = raw.read();
    } catch {
      return;
    }
    const fields = this.#shapes.get(collection) ?? new Map<string, Record<string, number>>();
    this.#shapes.set(collection, fields);
    document.keys.forEach((key, i) => {
      const path = fields.has(key) || fields.size < fieldsMax ? key : "(more fields)";
      const types = fields.get(path) ?? Object.create(null) as Record<string, number>;
      fields.set(path, types);
      const type = typeOf(document.values[i]!);
      types[type] = (types[type] ?? 0) + 1;
    });
  }

  list(collection: string): ShapeCount[] {
    const shapes = [...this.#shapes.get(collection) ?? []].map(([path, types]) => ({
      path,
      types: { ...types },
    }));
    if (collection !== "dramatiq_tasks") return shapes;
    const usual = Object.entries(this.#usual).map(([generation, documents]) => ({
      path: `(every field as in ${generation})`,
      types: { usual: documents },
    }));
    return [...usual, ...shapes];
  }
}

const samplesMax = 5;
const normal = (email: string) => email.trim().normalize("NFC").toLowerCase();

function schemeOf(hash: string): string {
  if (/^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$/.test(hash)) return "bcrypt";
  return hash === "" ? "none" : /^\$([a-z0-9-]+)\$/i.exec(hash)?.[1] ?? "unknown";
}

/** Collects what only shows over all users. */
export function lookAtUsers() {
  const byEmail = new Map<string, string[]>();
  const bySchemes = new Map<string, string[]>();
  return {
    add(email: string, hash: string, id: string): void {
      const key = normal(email);
      byEmail.set(key, [...byEmail.get(key) ?? [], email]);
      const scheme = schemeOf(hash);
      bySchemes.set(scheme, [...bySchemes.get(scheme) ?? [], id]);
    },
    findings(): Finding[] {
      const near = [...byEmail.values()].filter((emails) => emails.length > 1);
      const found: Finding[] = [];
      if (near.length > 0) {
        found.push({
          what: "e-mails that differ only in case, spaces or composition: they stay different users",
          documents: near.reduce((sum, emails) => sum + emails.length, 0),
          samples: near.slice(0, samplesMax).map((emails) => emails.join(" and ")),
        });
      }
      for (const [scheme, ids] of bySchemes) {
        if (scheme === "bcrypt") continue;
        found.push({
          what: scheme === "none"
            ? "users without a password: nobody signs in as them until one is set"
            : `passwords of scheme '${scheme}', which this sign-in does not know: they need a new one`,
          documents: ids.length,
          samples: ids.slice(0, samplesMax),
        });
      }
      return found;
    },
  };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const [brace, braceEnd] = encoder.encode("{}");

/** True for a document of text that says numbers or dates without their type: relaxed Extended JSON. */
export function looksRelaxed(original: Uint8Array): boolean {
  // BSON ends with a zero.
  if (original[0] !== brace || original.at(-1) !== braceEnd) return false;
  const text = decoder.decode(original);
  // Canonical form tags every number; a date there is never a text.
  return /"\$date"\s*:\s*"/.test(text) || /"[^"\\]*"\s*:\s*-?\d/.test(text);
}
