/**
 * A running MongoDB as a source: every document of a collection in the order of its `_id` index, as raw BSON.
 * Ranges are cut by places in that index (`min` and `max`), where every type of `_id` has its place: NaN, null,
 * numbers beside texts; a filter on `_id` would see one type at a time.
 */
import { createHash } from "node:crypto";
import type {
  Collection as MongoCollection,
  Db,
  Document,
  FindCursor,
  FindOptions,
  MongoClient,
} from "mongodb";
import { AppError } from "../../../errors.ts";
import { makeDocuments, RawBson } from "./bson_documents.ts";
import { BsonError, checkBson } from "../documents/bson_read.ts";
import { idDocument, readBound, writeBound } from "./mongo_bounds.ts";
import { explain, locationOf, readUrl } from "./mongo_errors.ts";
import {
  type Collection,
  collections,
  type Range,
  type RawDocument,
  type Source,
  type Survey,
  type SurveyOptions,
} from "../documents/source.ts";
import { Surveyed } from "./survey.ts";

const connectMs = 5000;
// MaxKey is where an index ends: the server takes no range that starts there, and leaves it out of one that has a
// start and no end.
const lastPlace = '{"$maxKey":1}';
// As fast as 100,000, at half the memory; the server ends a batch at 16 MB anyway.
const batchDocuments = 500;

export type Topology = "replica set" | "standalone" | "sharded cluster";

const standaloneNote =
  "this MongoDB is a standalone: it can be copied, but not followed (no change streams); to make it a replica set " +
  "of one, start it with --replSet rs0 and run 'rs.initiate()' once";

interface Opened {
  client: MongoClient;
  db: Db;
  location: string;
  topology: Topology;
  bytes: number;
  secrets: readonly string[];
}

/** One range while it is surveyed. */
class OpenRange {
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

/** See openLive(). */
export class LiveSource implements Source {
  readonly kind = "mongodb";
  readonly location: string;
  readonly topology: Topology;
  readonly bytes: number;
  readonly notes: readonly string[];
  readonly #opened: Opened;
  readonly #surveyed = new Surveyed();
  /** Digest of each range as surveyed. */
  readonly #ranges = new Map<string, string>();

  constructor(opened: Opened) {
    this.#opened = opened;
    this.location = opened.location;
    this.topology = opened.topology;
    this.bytes = opened.bytes;
    this.notes = opened.topology === "standalone" ? [standaloneNote] : [];
  }

  /** Raw documents by the batch, in index order, from `lower` to before `upper` (empty: the end of the index). */
  async *#batches(name: Collection, lower: string, upper: string): AsyncGenerator<Uint8Array[]> {
    const collection: MongoCollection<Document> = this.#opened.db.collection(name);
    const options: FindOptions = {
      raw: true,
      hint: { _id: 1 },
      sort: { _id: 1 },
      batchSize: batchDocuments,
      ...(lower === "" ? {} : { min: await readBound(lower) }),
      ...(upper === "" ? {} : { max: await readBound(upper) }),
      ...(this.topology === "standalone" ? {} : { readConcern: "majority" }),
    };
    yield* this.#drain(name, collection.find({}, options));
    if (lower !== "" && upper === "") {
      const filter = { _id: { $eq: (await readBound(lastPlace))._id } } as Document;
      yield* this.#drain(name, collection.find(filter, { raw: true }));
    }
  }

  async *#drain(name: Collection, cursor: FindCursor<Document>): AsyncGenerator<Uint8Array[]> {
    try {
      while (await cursor.hasNext()) yield cursor.readBufferedDocuments() as unknown as Uint8Array[];
    } catch (error) {
      throw explain(error, `reading ${name} from '${this.location}'`, this.#opened.secrets);
    } finally {
      await cursor.close().catch(() => {});
    }
  }

  async survey(name: Collection, { rangeBytes, onDocument, onBytes }: SurveyOptions): Promise<Survey> {
    const hash = createHash("sha256");
    const ranges: Range[] = [];
    let open = new OpenRange("", 1);
    let documents = 0;
    let total = 0;
    const close = (upper: string) => {
      const { lower, firstPosition, documents, bytes } = open;
      const number = ranges.length + 1;
      ranges.push({ collection: name, number, lower, upper, firstPosition, documents, bytes });
      this.#ranges.set(`${name}\n${lower}\n${upper}`, open.hash.digest("hex"));
    };
    for await (const batch of this.#batches(name, "", "")) {
      for (const bytes of batch) {
        this.#check(name, bytes);
        const bound = open.bytes >= rangeBytes ? writeBound(idDocument(bytes)) : lastPlace;
        if (bound !== lastPlace) {
          close(bound);
          open = new OpenRange(bound, documents + 1);
        }
        hash.update(bytes);
        open.add(bytes);
        documents++;
        total += bytes.length;
        onDocument?.(new RawBson(documents, bytes, undefined));
      }
      onBytes?.(batch.reduce((sum, { length }) => sum + length, 0));
    }
    if (open.documents > 0) close("");
    this.#surveyed.keep(name, hash.digest("hex"), total);
    return { ranges, documents, bytes: total };
  }

  #check(name: Collection, bytes: Uint8Array): void {
    try {
      checkBson(bytes);
    } catch (error) {
      if (!(error instanceof BsonError)) throw error;
      throw new AppError(
        "invalid_source",
        `reading ${name} from '${this.location}': a document is no BSON at its byte ${error.at} ` +
          `(${error.what}); run 'db.${name}.validate()' there; nothing was written`,
      );
    }
  }

  fingerprint(): string {
    // Other ranges than a dump of the same content has: it must not go on where a dump stopped.
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
    const surveyed = this.#ranges.get(`${collection}\n${lower}\n${upper}`);
    if (found.length !== documents || (surveyed !== undefined && surveyed !== hash.digest("hex"))) {
      throw new AppError(
        "source_changed",
        `reading ${collection} from '${this.location}': it was written to while it is being read; stop what ` +
          "writes to it, or dump it and load the dump, and run the same command again",
      );
    }
    return makeDocuments(collection, found, firstPosition);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.client.close();
  }
}

async function findTopology(db: Db): Promise<Topology> {
  const hello = await db.command({ hello: 1 }).catch(() => db.command({ isMaster: 1 }));
  if (hello.msg === "isdbgrid") return "sharded cluster";
  return hello.setName === undefined ? "standalone" : "replica set";
}

/** Bytes of a collection's documents; 0 where the account may not ask. */
async function sizeOf(db: Db, name: string): Promise<number> {
  const parts = await db.collection(name).aggregate([{ $collStats: { storageStats: {} } }]).toArray()
    .catch(() => []);
  return parts.reduce((sum, { storageStats }) => sum + Number(storageStats?.size ?? 0), 0);
}

async function checkCollections(db: Db, location: string): Promise<void> {
  const names = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
  const missing = collections.filter((name) => !names.includes(name));
  if (missing.length === 0) return;
  const held = names.slice(0, 8).map((name) => `'${name}'`).join(", ");
  throw new AppError(
    "source_missing",
    `opening '${location}': the database has no collection ${missing.join(", ")} (it has ${
      held || "none at all"
    }); name another database, or make an empty one there: db.createCollection('${missing[0]}')`,
  );
}

/**
 * Connects to a MongoDB.
 *
 * @param url `mongodb://…` or `mongodb+srv://…`; what it holds of a password appears nowhere else
 * @param database where the URL names none
 * @throws AppError invalid_source (the URL), database_unreachable, database_refused, source_missing
 */
export async function openLive(url: string, database = ""): Promise<LiveSource> {
  const { name, shown, secrets } = readUrl(url, database);
  const { MongoClient } = await import("mongodb");
  let client: MongoClient | undefined;
  try {
    client = new MongoClient(url, {
      appName: "contactsheet-migrate",
      maxPoolSize: 2,
      ...(/serverSelectionTimeoutMS=/i.test(url) ? {} : { serverSelectionTimeoutMS: connectMs }),
    });
    await client.connect();
    const db = client.db(name);
    const location = locationOf(client, name);
    const topology = await findTopology(db);
    await checkCollections(db, location);
    const sizes = await Promise.all(collections.map((collection) => sizeOf(db, collection)));
    const bytes = sizes.reduce((a, b) => a + b, 0);
    return new LiveSource({ client, db, location, topology, bytes, secrets });
  } catch (error) {
    await client?.close().catch(() => {});
    throw explain(error, `opening '${shown}'`, secrets);
  }
}
