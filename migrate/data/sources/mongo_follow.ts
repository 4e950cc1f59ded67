/** A MongoDB that is followed while it changes: reads documents by key and in `_id` order, and tells its times. */
import type { Document, Timestamp } from "bson";
import type { ClientSession, FindOptions } from "mongodb";
import { AppError } from "../../../errors.ts";
import { BsonError, checkBson } from "../documents/bson_layout.ts";
import { readBson } from "../documents/bson_read.ts";
import { tagId } from "../documents/ids.ts";
import type { BsonValue } from "../documents/tree.ts";
import { type Collection, collections, type RawDocument } from "../documents/source.ts";
import { makeDocuments, RawBson } from "./bson_documents.ts";
import { ChangeStream, type StreamStart } from "./change_stream.ts";
import {
  boundBytes,
  idDocument,
  maxKeyBound,
  readBound,
  readIdBytes,
  writeBound,
  writeIdDocument,
} from "./mongo_bounds.ts";
import {
  checkCollections,
  connectMongo,
  findTopology,
  type MongoConnection,
  readSize,
} from "./mongo_connect.ts";
import type { Topology } from "./mongo_connect.ts";
import { toAppError } from "./mongo_errors.ts";
import type { MongoSetting } from "./mongo_url.ts";
import { fromPosition, toPosition } from "./positions.ts";

const batchDocuments = 500;
const keysAtOnce = 1000;

/** A document with its key. */
export interface KeyedRaw {
  id: BsonValue;
  /** See tagId(). */
  tag: string;
  raw: RawDocument;
}

/** Documents of consecutive `_id`s. */
export interface DocumentPage {
  documents: KeyedRaw[];
  bytes: number;
  /** `_id` of the last document as text, for readPages(). */
  last: string;
}

/** Facts about the server that do not change while a client is connected. */
interface ServerFacts {
  topology: Topology;
  /** Such as `6.0.5`. */
  version: string;
  /** Name of the replica set, database and the ids of its collections: which data is followed. */
  identity: string;
}

/** Returns the `_id` of a document. */
export const idOf = (document: Uint8Array): BsonValue => readBson(idDocument(document)).get("_id")!;

/** Wraps documents. One that is no valid BSON fails only when it is read, so that it alone is rejected. */
export function wrapDocuments(documents: readonly Uint8Array[]): RawDocument[] {
  try {
    documents.forEach((bytes) => checkBson(bytes));
    return makeDocuments(documents, 0);
  } catch (error) {
    if (!(error instanceof BsonError)) throw error;
    return documents.map((bytes) => new RawBson(0, bytes));
  }
}

/** Wraps documents together with their keys. */
export function keyDocuments(documents: readonly Uint8Array[]): KeyedRaw[] {
  const raws = wrapDocuments(documents);
  return documents.map((bytes, i) => {
    const id = idOf(bytes);
    return { id, tag: tagId(id), raw: raws[i]! };
  });
}

/** See openFollowed(). */
export class FollowedMongo implements AsyncDisposable {
  readonly location: string;
  readonly topology: Topology;
  readonly version: string;
  readonly identity: string;
  readonly #connection: MongoConnection;
  // Reads in this session see everything that an earlier answer in it has told, even after a failover.
  readonly #session: ClientSession;

  constructor(connection: MongoConnection, { topology, version, identity }: ServerFacts) {
    this.#connection = connection;
    this.location = connection.location;
    this.topology = topology;
    this.version = version;
    this.identity = identity;
    this.#session = connection.client.startSession({ causalConsistency: topology !== "standalone" });
  }

  /** Each option of the URL that has no effect, with the reason. */
  get notes(): readonly string[] {
    return this.#connection.notes;
  }

  get db() {
    return this.#connection.db;
  }

  get client() {
    return this.#connection.client;
  }

  #readOptions(): FindOptions {
    const options: FindOptions = { raw: true, batchSize: batchDocuments, session: this.#session };
    if (this.topology !== "standalone") options.readConcern = { level: "majority" };
    return options;
  }

  /** Starts a session of the client. The caller must end it. */
  startSession(): ClientSession {
    return this.#connection.client.startSession({ causalConsistency: false });
  }

  /** Converts an error of the driver for messages. */
  toAppError(error: unknown, action: string): unknown {
    return toAppError(error, `${action} '${this.location}'`, this.#connection.context);
  }

  /** Opens the change stream. */
  openStream(start: StreamStart): Promise<ChangeStream> {
    return ChangeStream.open(this.db, this.#session, start);
  }

  /**
   * Reads the current documents with these keys, in batches as the server sends them. Documents that do not exist are
   * left out.
   *
   * @param keys `{_id: …}` as BSON
   */
  async *readByKey(collection: Collection, keys: readonly Uint8Array[]): AsyncGenerator<KeyedRaw[]> {
    for (let at = 0; at < keys.length; at += keysAtOnce) {
      const ids = await Promise.all(keys.slice(at, at + keysAtOnce).map(readIdBytes));
      const cursor = this.db.collection(collection).find(
        { _id: { $in: ids.map(({ _id }) => _id) } } as Document,
        this.#readOptions(),
      );
      try {
        while (await cursor.hasNext()) {
          yield keyDocuments(cursor.readBufferedDocuments() as unknown as Uint8Array[]);
        }
      } finally {
        await cursor.close().catch(() => {});
      }
    }
  }

  /**
   * Reads a collection in `_id` order.
   *
   * @param after `_id` of the last document that was read before, as in `DocumentPage.last`; empty: from the start
   */
  async *readPages(collection: Collection, after: string): AsyncGenerator<DocumentPage> {
    const options = Object.assign(this.#readOptions(), { hint: { _id: 1 }, sort: { _id: 1 } });
    if (after !== "") options.min = await readBound(after);
    const cursor = this.db.collection(collection).find({}, options);
    // `min` includes the document itself.
    let skipped = after === "" ? undefined : tagId(idOf(boundBytes(after)));
    try {
      while (await cursor.hasNext()) {
        const buffered = cursor.readBufferedDocuments() as unknown as Uint8Array[];
        const documents = keyDocuments(buffered).filter(({ tag }) => tag !== skipped);
        skipped = undefined;
        if (documents.length === 0) continue;
        const bytes = buffered.reduce((sum, { length }) => sum + length, 0);
        yield { documents, bytes, last: writeBound(idDocument(buffered.at(-1)!)) };
      }
    } finally {
      await cursor.close().catch(() => {});
    }
    // A range with `min` and without `max` excludes this one.
    if (after !== "" && after !== maxKeyBound) yield* this.#readMaxKey(collection);
  }

  async *#readMaxKey(collection: Collection): AsyncGenerator<DocumentPage> {
    for await (const documents of this.readByKey(collection, [boundBytes(maxKeyBound)])) {
      const bytes = documents.reduce((sum, { raw }) => sum + raw.original().length, 0);
      yield { documents, bytes, last: maxKeyBound };
    }
  }

  /** Runs an aggregation whose results are small documents. */
  async *aggregate(collection: Collection, pipeline: Document[]): AsyncGenerator<Uint8Array[]> {
    const options = Object.assign(this.#readOptions(), { batchSize: 5000, allowDiskUse: true });
    const cursor = this.db.collection(collection).aggregate(pipeline, options);
    try {
      while (await cursor.hasNext()) yield cursor.readBufferedDocuments() as unknown as Uint8Array[];
    } finally {
      await cursor.close().catch(() => {});
    }
  }

  /** Returns the newest cluster time of the server; 0 for a standalone, which has none. */
  async clusterPosition(): Promise<bigint> {
    const { operationTime } = await this.db.command({ ping: 1 }, { session: this.#session });
    return operationTime === undefined ? 0n : toPosition(operationTime as Timestamp);
  }

  /** Counts the documents of a collection, at a cluster time where the server can tell. */
  async countAt(collection: Collection, position: bigint | undefined): Promise<number> {
    const { Timestamp } = await import("bson");
    const readConcern = position === undefined
      ? { level: this.topology === "standalone" ? "local" : "majority" }
      : { level: "snapshot", atClusterTime: new Timestamp(fromPosition(position)) };
    const { cursor } = await this.db.command({
      aggregate: collection,
      pipeline: [{ $count: "n" }],
      cursor: {},
      readConcern,
    });
    return Number(cursor.firstBatch[0]?.n ?? 0);
  }

  /** Counts the documents that exist among these `_id`s. */
  async countExisting(collection: Collection, ids: readonly BsonValue[]): Promise<number> {
    let count = 0;
    const keys = ids.map(writeIdDocument);
    for await (const batch of this.readByKey(collection, keys)) count += batch.length;
    return count;
  }

  /** Returns the approximate number of documents of a collection, from its metadata. */
  estimateCount(collection: Collection): Promise<number> {
    return this.db.collection(collection).estimatedDocumentCount();
  }

  /** Returns the approximate bytes of all documents. */
  async countBytes(): Promise<number> {
    const sizes = await Promise.all(collections.map((collection) => readSize(this.db, collection)));
    return sizes.reduce((sum, size) => sum + size, 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.endSession().catch(() => {});
    await this.#connection.client.close();
  }
}

/** Oldest version whose change streams and resume tokens are used here. */
const versionMin = 4.4;

/** @throws AppError database_unsuitable when the server is too old */
export function checkVersion(version: string, location: string): void {
  if (Number.parseFloat(version) >= versionMin) return;
  throw new AppError(
    "database_unsuitable",
    `following '${location}': it is MongoDB ${version}, and following needs ${versionMin} or later; upgrade it, or ` +
      "stop what writes to it and copy it at rest with 'deno task migrate data load'",
  );
}

async function readFacts({ db, location }: MongoConnection): Promise<ServerFacts> {
  const topology = await findTopology(db);
  const { version } = await db.command({ buildInfo: 1 });
  checkVersion(version, location);
  await checkCollections(db, location);
  const { setName = topology } = await db.command({ hello: 1 });
  const infos = await db.listCollections({ name: { $in: [...collections] } }).toArray();
  const uuids = (infos as Document[]).map(({ name, info }) =>
    `${name}=${info?.uuid?.toString("hex") ?? "?"}`
  );
  return { topology, version, identity: [setName, db.databaseName, ...uuids.sort()].join(" ") };
}

/**
 * Connects to a MongoDB to follow it.
 *
 * @throws AppError invalid_source, database_unreachable, database_refused, source_missing, database_unsuitable
 */
export async function openFollowed(
  url: string,
  database = "",
  setting?: MongoSetting,
): Promise<FollowedMongo> {
  const connection = await connectMongo(url, database, setting);
  try {
    return new FollowedMongo(connection, await readFacts(connection));
  } catch (error) {
    await connection.client.close().catch(() => {});
    throw toAppError(error, `opening '${connection.location}'`, connection.context);
  }
}
