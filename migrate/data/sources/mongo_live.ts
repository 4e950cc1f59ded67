/**
 * A running MongoDB as a source. Reads every document of a collection as raw BSON, in the order of its `_id` index.
 * Ranges are bounded by positions in that index (`min` and `max`), which cover every type of `_id`, even mixed ones
 * and NaN. A filter on `_id` would match one type only.
 */
import { createHash } from "node:crypto";
import type {
  ClientSession,
  Collection as MongoCollection,
  Db,
  Document,
  FindCursor,
  FindOptions,
  MongoClient,
} from "mongodb";
import { AppError } from "../../../errors.ts";
import { makeDocuments, RawBson } from "./bson_documents.ts";
import { BsonError, checkBson } from "../documents/bson_layout.ts";
import { idDocument, maxKeyBound, readBound, writeBound } from "./mongo_bounds.ts";
import {
  checkCollections,
  connectMongo,
  findTopology,
  isSecondary,
  readSize,
  type Topology,
} from "./mongo_connect.ts";
import { toAppError } from "./mongo_errors.ts";
import type { MongoContext } from "./mongo_failure.ts";
import type { MongoSetting } from "./mongo_url.ts";
import {
  type Collection,
  collections,
  type Range,
  type RawDocument,
  type Source,
  type Survey,
  type SurveyOptions,
} from "../documents/source.ts";
import { SurveyedCollections } from "./survey.ts";

// As fast as 100,000, with half the memory. The server limits a batch to 16 MB anyway.
const batchDocuments = 500;

const standaloneNote =
  "this MongoDB is a standalone: it can be copied, but not followed (no change streams); to make it a replica set " +
  "of one, start it with --replSet rs0 and run 'rs.initiate()' once";

const secondaryNote =
  "this server is a secondary: it may lack the last writes; stop what writes, and wait until it has " +
  "caught up, or read the primary";

interface Connection {
  client: MongoClient;
  db: Db;
  location: string;
  topology: Topology;
  bytes: number;
  context: MongoContext;
  notes: string[];
  /** Session whose reads all see the same moment; undefined if the server has none, or none is wanted. */
  snapshot: ClientSession | undefined;
}

/** First version with reads of a snapshot outside of transactions, and the error when it is too old. */
const snapshotVersionMin = 5;
const snapshotTooOld = 239;

/** The range that is being surveyed. */
class RangeBuilder {
  documents = 0;
  bytes = 0;
  readonly hash = createHash("sha256");
  constructor(readonly lower: string, readonly firstPosition: number) {}

  add(bytes: Uint8Array): void {
    this.documents++;
    this.bytes += bytes.length;
    this.hash.update(bytes);
  }
}

const rangeKey = (collection: Collection, lower: string, upper: string) =>
  `${collection}\n${lower}\n${upper}`;

/** See openLive(). */
export class LiveSource implements Source {
  readonly kind = "mongodb";
  readonly location: string;
  readonly topology: Topology;
  readonly bytes: number;
  readonly notes: readonly string[];
  readonly #connection: Connection;
  readonly #surveyed = new SurveyedCollections();
  /** Digests of the surveyed ranges by rangeKey(). */
  readonly #rangeDigests = new Map<string, string>();

  constructor(connection: Connection) {
    this.#connection = connection;
    this.location = connection.location;
    this.topology = connection.topology;
    this.bytes = connection.bytes;
    this.notes = connection.notes;
  }

  /**
   * Yields batches of raw documents in index order.
   *
   * @param lower inclusive; empty: from the start of the index
   * @param upper exclusive; empty: to the end of the index
   */
  async *#batches(name: Collection, lower: string, upper: string): AsyncGenerator<Uint8Array[]> {
    const collection: MongoCollection<Document> = this.#connection.db.collection(name);
    const options: FindOptions = {
      raw: true,
      hint: { _id: 1 },
      sort: { _id: 1 },
      batchSize: batchDocuments,
      ...(lower === "" ? {} : { min: await readBound(lower) }),
      ...(upper === "" ? {} : { max: await readBound(upper) }),
      ...this.#consistency(),
    };
    yield* this.#drain(name, collection.find({}, options));
    if (lower !== "" && upper === "") {
      const filter = { _id: { $eq: (await readBound(maxKeyBound))._id } } as Document;
      yield* this.#drain(name, collection.find(filter, Object.assign({ raw: true }, this.#consistency())));
    }
  }

  #consistency(): FindOptions {
    const { snapshot: session } = this.#connection;
    if (session) return { session };
    return this.topology === "standalone" ? {} : { readConcern: "majority" };
  }

  async *#drain(name: Collection, cursor: FindCursor<Document>): AsyncGenerator<Uint8Array[]> {
    try {
      while (await cursor.hasNext()) yield cursor.readBufferedDocuments() as unknown as Uint8Array[];
    } catch (error) {
      if ((error as { code?: unknown }).code === snapshotTooOld) throw this.#tooOld(name);
      throw toAppError(error, `reading ${name} from '${this.location}'`, this.#connection.context);
    } finally {
      await cursor.close().catch(() => {});
    }
  }

  #tooOld(name: Collection): AppError {
    return new AppError(
      "source_changed",
      `reading ${name} from '${this.location}': it took longer than the server keeps the moment at which the reading began; ` +
        "let it keep an hour with db.adminCommand({setParameter: 1, minSnapshotHistoryWindowInSeconds: 3600}), or use a " +
        "dump, then run the same command again",
    );
  }

  async survey(name: Collection, { rangeBytes, onDocument, onBytes }: SurveyOptions): Promise<Survey> {
    const hash = createHash("sha256");
    const ranges: Range[] = [];
    let current = new RangeBuilder("", 1);
    let documents = 0;
    let total = 0;
    const close = (upper: string) => {
      const { lower, firstPosition, documents, bytes } = current;
      const number = ranges.length + 1;
      ranges.push({ collection: name, number, lower, upper, firstPosition, documents, bytes });
      this.#rangeDigests.set(rangeKey(name, lower, upper), current.hash.digest("hex"));
    };
    for await (const batch of this.#batches(name, "", "")) {
      for (const bytes of batch) {
        this.#check(name, bytes);
        const bound = current.bytes >= rangeBytes ? writeBound(idDocument(bytes)) : maxKeyBound;
        if (bound !== maxKeyBound) {
          close(bound);
          current = new RangeBuilder(bound, documents + 1);
        }
        hash.update(bytes);
        current.add(bytes);
        documents++;
        total += bytes.length;
        onDocument?.(new RawBson(documents, bytes));
      }
      onBytes?.(batch.reduce((sum, { length }) => sum + length, 0));
    }
    if (current.documents > 0) close("");
    this.#surveyed.add(name, hash.digest("hex"), total);
    return { ranges, documents, bytes: total };
  }

  #check(name: Collection, bytes: Uint8Array): void {
    try {
      checkBson(bytes);
    } catch (error) {
      if (!(error instanceof BsonError)) throw error;
      throw new AppError(
        "invalid_source",
        `reading ${name} from '${this.location}': a document is not BSON at its byte ${error.at} ` +
          `(${error.problem}); run 'db.${name}.validate()' there; nothing was written`,
      );
    }
  }

  fingerprint(): string {
    // A dump of the same content has other ranges, so a load must not continue where one of the dump stopped.
    return this.#surveyed.fingerprint("mongodb");
  }

  async read({ collection, lower, upper, firstPosition, documents }: Range): Promise<RawDocument[]> {
    const found: Uint8Array[] = [];
    const hash = createHash("sha256");
    for await (const batch of this.#batches(collection, lower, upper)) {
      for (const bytes of batch) {
        found.push(bytes);
        hash.update(bytes);
      }
    }
    const surveyedDigest = this.#rangeDigests.get(rangeKey(collection, lower, upper));
    if (
      found.length !== documents || (surveyedDigest !== undefined && surveyedDigest !== hash.digest("hex"))
    ) {
      throw new AppError(
        "source_changed",
        `reading ${collection} from '${this.location}': it changed while it was being read; stop what writes ` +
          "to it, or dump it and load the dump, and run the same command again; a source that changes all the time is " +
          "copied with 'sync' and compared with 'verify --live'",
      );
    }
    return makeDocuments(found, firstPosition);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connection.client.close();
  }
}

export interface LiveOptions {
  /**
   * Whether all reads see the same moment, where the server can do that for some minutes, so that the documents may change
   * meanwhile.
   */
  snapshot?: boolean;
}

/**
 * Opens a MongoDB as a source. Its parameters are those of connectMongo().
 *
 * @throws AppError invalid_source (the URL is invalid), database_unreachable, database_refused, source_missing
 */
export async function openLive(
  url: string,
  database = "",
  setting?: MongoSetting,
  { snapshot: isWanted = false }: LiveOptions = {},
): Promise<LiveSource> {
  const { client, db, location, context, notes } = await connectMongo(url, database, setting);
  try {
    const topology = await findTopology(db);
    await checkCollections(db, location);
    const sizes = await Promise.all(collections.map((collection) => readSize(db, collection)));
    const bytes = sizes.reduce((a, b) => a + b, 0);
    if (topology === "standalone") notes.push(standaloneNote);
    if (await isSecondary(db)) notes.push(secondaryNote);
    const hasSnapshots = isWanted && topology !== "standalone" &&
      Number((await db.admin().serverInfo()).versionArray[0]) >= snapshotVersionMin;
    const snapshot = hasSnapshots ? client.startSession({ snapshot: true }) : undefined;
    return new LiveSource({ client, db, location, topology, bytes, context, notes, snapshot });
  } catch (error) {
    await client.close().catch(() => {});
    throw toAppError(error, `opening '${location}'`, context);
  }
}
