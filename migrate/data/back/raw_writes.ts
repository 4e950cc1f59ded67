/**
 * Writes documents as raw BSON. The driver's own serializer loses types (int64, Symbol, dates out of JavaScript's range)
 * and the order of integer-like keys, so the statements are built here, and the driver only sends them: as a document
 * sequence, over its own connections.
 */
import { Binary, type Document, Long } from "bson";
import type { ClientSession, Db } from "mongodb";
import { DocumentSequence } from "mongodb/lib/cmap/commands.js";
import { writeBson } from "../documents/bson_write.ts";
import type { Collection } from "../documents/source.ts";
import { BsonDocument, type BsonValue, DateMs, ObjectId, Special } from "../documents/tree.ts";
import { findRaw } from "../documents/bson_read.ts";

/** Time in which the members of the replica set must confirm a command, and time for its answer, in milliseconds. */
export const confirmMs = 10_000;
export const answerMs = 20_000;

/** A statement of a command, as BSON. */
export interface Statement {
  bytes: Uint8Array;
}

/** A statement that the server did not execute, and why. */
export interface WriteRefusal {
  /** Position in the command. */
  index: number;
  code: number;
  message: string;
}

const concat = (parts: readonly Uint8Array[]): Uint8Array => {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
};

const encoder = new TextEncoder();

/** Returns a document with these elements: type, name, bytes of the value. */
function frame(elements: readonly { type: number; name: string; bytes: Uint8Array }[]): Uint8Array {
  const parts: Uint8Array[] = [new Uint8Array(4)];
  for (const { type, name, bytes } of elements) {
    parts.push(new Uint8Array([type]), encoder.encode(`${name}\0`), bytes);
  }
  parts.push(new Uint8Array(1));
  const joined = concat(parts);
  new DataView(joined.buffer).setInt32(0, joined.length, true);
  return joined;
}

/** Returns the query for one `_id`. `$eq` keeps a regular expression or a document from being read as a condition. */
function queryById(id: BsonValue): Uint8Array {
  const isPlain = id instanceof ObjectId || typeof id !== "object" || id instanceof DateMs;
  const value = isPlain ? id : new BsonDocument(["$eq"], [id]);
  return writeBson(new BsonDocument(["_id"], [value]));
}

/** The server replaces this timestamp at the top level of a document that is given as a whole. */
const emptyTimestamp = '{"$timestamp":{"t":0,"i":0}}';

/** Reports whether a document cannot be a replacement as it is: the server reads `$` names, and fills empty times. */
const needsPipeline = ({ keys, values }: BsonDocument): boolean =>
  keys.some((key) => key.startsWith("$")) ||
  values.some((value) => value instanceof Special && value.text === emptyTimestamp);

const documentType = 0x03;
const arrayType = 0x04;
const yes = new Uint8Array([1]);

/** Returns the statement that replaces the document with this `_id`, or inserts it. */
export function replaceStatement(document: BsonDocument, bytes: Uint8Array): Statement {
  const literal = (value: Uint8Array) =>
    frame([{
      type: documentType,
      name: "$replaceWith",
      bytes: frame([{ type: documentType, name: "$literal", bytes: value }]),
    }]);
  const update = needsPipeline(document)
    ? { type: arrayType, name: "u", bytes: frame([{ type: documentType, name: "0", bytes: literal(bytes) }]) }
    : { type: documentType, name: "u", bytes };
  const query = { type: documentType, name: "q", bytes: queryById(document.get("_id")!) };
  return { bytes: frame([query, update, { type: 0x08, name: "upsert", bytes: yes }]) };
}

/** Returns the statement that sets one field of the document with this `_id`, if it exists. */
export const setStatement = (id: BsonValue, name: string, value: BsonValue): Statement => ({
  bytes: frame([
    { type: documentType, name: "q", bytes: queryById(id) },
    {
      type: documentType,
      name: "u",
      bytes: writeBson(new BsonDocument(["$set"], [new BsonDocument([name], [value])])),
    },
  ]),
});

/** Returns the statement that deletes the document with this `_id`. */
export const deleteStatement = (id: BsonValue): Statement => ({
  bytes: frame([
    { type: documentType, name: "q", bytes: queryById(id) },
    { type: 0x10, name: "limit", bytes: new Uint8Array([1, 0, 0, 0]) },
  ]),
});

/** Returns the BSON value of `_id` of a document. */
export const rawId = (bytes: Uint8Array) => findRaw(bytes, "_id");

/** Marks the driver's server session as one of our own choice. */
interface ServerSession {
  id: { id: Binary };
}

/**
 * Numbers commands so that the server refuses an older one after a newer one: all processes that write back share one
 * session, and a number has the term of the lease before a counter. A command that was delayed in the network or in a
 * stopped process can then not overwrite what was written after it. A standalone server has no such numbers.
 */
export class CommandNumbers {
  #last = 0n;

  constructor(readonly session: ClientSession, readonly sessionId: Uint8Array, readonly term: number) {
    (session.serverSession as unknown as ServerSession).id = {
      id: new Binary(sessionId, Binary.SUBTYPE_UUID),
    };
  }

  next(): Long {
    this.#last++;
    return Long.fromBigInt((BigInt(this.term) << 32n) | this.#last);
  }
}

interface CommandAnswer extends Document {
  n: number;
  nModified?: number;
  upserted?: unknown[];
  writeErrors?: { index: number; code: number; errmsg: string }[];
  writeConcernError?: { code: number; errmsg: string };
}

/** What a command did. */
export interface WriteResult {
  /** Documents that were inserted, changed or deleted; those that were the same already do not count. */
  changed: number;
  refused: WriteRefusal | undefined;
}

/**
 * Runs one ordered command. It ends at the first statement that the server refuses.
 *
 * @param numbers absent for a standalone server
 * @throws errors of the driver and of the server, also when the members did not confirm in time
 */
export async function runWrites(
  db: Db,
  kind: "update" | "delete",
  collection: Collection,
  statements: readonly Statement[],
  numbers: CommandNumbers | undefined,
): Promise<WriteResult> {
  const field = kind === "update" ? "updates" : "deletes";
  const sequence = new DocumentSequence(field);
  for (const { bytes } of statements) sequence.push({}, bytes);
  const command: Document = { [kind]: collection, [field]: sequence, ordered: true };
  if (numbers) {
    command.writeConcern = { w: "majority", wtimeout: confirmMs };
    command.txnNumber = numbers.next();
  }
  const options = numbers ? { session: numbers.session, timeoutMS: answerMs } : { timeoutMS: answerMs };
  const answer = await db.command(command, options) as CommandAnswer;
  const error = answer.writeErrors?.[0];
  if (error === undefined && answer.writeConcernError) {
    const { code, errmsg } = answer.writeConcernError;
    throw Object.assign(new Error(errmsg), { name: "MongoWriteConcernError", code });
  }
  const changed = kind === "delete" ? answer.n : (answer.nModified ?? 0) + (answer.upserted?.length ?? 0);
  return { changed, refused: error && { index: error.index, code: error.code, message: error.errmsg } };
}
