/**
 * The change stream of a database, reduced to keys: which documents were inserted, changed or deleted. Events carry
 * no content, so that no event exceeds the server's 16 MB; the reader fetches the current documents.
 */
import type { Document, Timestamp } from "bson";
import type { ClientSession, Db } from "mongodb";
import { AppError } from "../../../errors.ts";
import { findRaw, readBson } from "../documents/bson_read.ts";
import { BsonDocument } from "../documents/tree.ts";
import { type Collection, collections } from "../documents/source.ts";
import { tagId } from "../documents/ids.ts";
import { idDocument } from "./mongo_bounds.ts";
import { fromPosition, tokenPosition, toPosition } from "./positions.ts";

/** Where a stream starts: a resume token as Extended JSON, or a cluster time. */
export type StreamStart = { token: string } | { position: bigint };

/** Keys of changed documents: `{_id: …}` as BSON, by tagId(). */
export type ChangedKeys = Map<Collection, Map<string, Uint8Array>>;

/** Events that were read at once. */
export interface ChangeBatch {
  keys: ChangedKeys;
  /** Number of events; several may concern one document. */
  events: number;
  /** Resume token after the last event, as Extended JSON; null without a change stream. */
  token: string | null;
  /** Cluster time up to which the source has no further events than those read. */
  position: bigint;
  /** Newest cluster time of the source when it answered. */
  sourcePosition: bigint;
}

/** Events that are read at once. Larger batches cost less for each event. */
const batchEvents = 3000;
/** Maximum wait of the server for the first event, in milliseconds. */
const awaitMs = 250;
const documentEvents = ["insert", "update", "replace", "delete"];
/** Events after which the collections are not the ones that were copied. */
const endingEvents = ["drop", "rename", "dropDatabase", "invalidate"];

const pipelineOf = (start: Document) => [
  { $changeStream: start },
  {
    $match: {
      $or: [
        { operationType: { $in: documentEvents }, "ns.coll": { $in: collections } },
        { operationType: { $in: endingEvents } },
      ],
    },
  },
  { $project: { operationType: 1, "ns.coll": 1, "to.coll": 1, documentKey: 1 } },
];

interface CursorAnswer {
  cursor: {
    id: bigint;
    firstBatch?: Uint8Array[];
    nextBatch?: Uint8Array[];
    postBatchResumeToken?: { _data: string };
  };
  operationTime?: Timestamp;
}

// Raw batches keep the types of `_id`. The option exists for cursors; a command has it under its internal name.
const rawBatches = { fieldsAsRaw: { firstBatch: true, nextBatch: true }, useBigInt64: true };

function textAt(document: BsonDocument, ...path: string[]): string {
  const [first, ...rest] = path;
  const value = document.get(first!);
  if (rest.length > 0 && value instanceof BsonDocument) return textAt(value, ...rest);
  return typeof value === "string" ? value : "";
}

/** An open change stream. Each read continues after the last one. */
export class ChangeStream {
  #cursor = 0n;
  #first: CursorAnswer | undefined;
  #position = 0n;

  private constructor(readonly db: Db, readonly session: ClientSession) {}

  /**
   * Opens a stream.
   *
   * @throws errors of the driver: codes 286, 280 and 136 when the oplog does not reach back to the start
   */
  static async open(db: Db, session: ClientSession, start: StreamStart): Promise<ChangeStream> {
    const { EJSON, Timestamp } = await import("bson");
    const from = "token" in start
      ? { resumeAfter: EJSON.parse(start.token) }
      : { startAtOperationTime: new Timestamp(fromPosition(start.position)) };
    const stream = new ChangeStream(db, session);
    if ("position" in start) stream.#position = start.position;
    const command = {
      aggregate: 1,
      pipeline: pipelineOf(from),
      cursor: { batchSize: batchEvents },
      readConcern: { level: "majority" },
    };
    stream.#first = await stream.#command(command);
    stream.#cursor = stream.#first.cursor.id;
    return stream;
  }

  async #command(command: Document): Promise<CursorAnswer> {
    const options = { session: this.session } as const;
    return await this.db.command(command, Object.assign({}, options, rawBatches)) as CursorAnswer;
  }

  /**
   * Reads the next events, or returns none after a quarter of a second without any.
   *
   * @throws AppError source_changed when a collection was dropped or renamed; errors of the driver
   */
  async next(): Promise<ChangeBatch> {
    const answer = this.#first ?? await this.#command({
      getMore: this.#cursor,
      collection: "$cmd.aggregate",
      batchSize: batchEvents,
      maxTimeMS: awaitMs,
    });
    this.#first = undefined;
    const events = answer.cursor.firstBatch ?? answer.cursor.nextBatch ?? [];
    const keys = this.#collect(events);
    const { EJSON } = await import("bson");
    const token = answer.cursor.postBatchResumeToken!;
    this.#position = tokenPosition(token._data) ?? this.#position;
    const sourcePosition = answer.operationTime ? toPosition(answer.operationTime) : this.#position;
    return {
      keys,
      events: events.length,
      token: EJSON.stringify(token, { relaxed: false }),
      position: this.#position,
      sourcePosition,
    };
  }

  #collect(events: Uint8Array[]): ChangedKeys {
    const keys: ChangedKeys = new Map();
    for (const bytes of events) {
      const event = readBson(bytes);
      const collection = textAt(event, "ns", "coll") as Collection;
      const operation = textAt(event, "operationType");
      if (!documentEvents.includes(operation)) this.#checkEnd(operation, collection, event);
      else {
        const key = idDocument(findRaw(bytes, "documentKey")!.bytes);
        const known = keys.get(collection) ?? new Map();
        keys.set(collection, known.set(tagId((event.get("documentKey") as BsonDocument).get("_id")!), key));
      }
    }
    return keys;
  }

  /** @throws AppError source_changed when the event concerns a followed collection */
  #checkEnd(operation: string, collection: string, event: BsonDocument): void {
    const to = textAt(event, "to", "coll");
    const isFollowed = (name: string) => (collections as readonly string[]).includes(name);
    if ((operation === "drop" || operation === "rename") && !isFollowed(collection) && !isFollowed(to)) {
      return;
    }
    const what = operation === "rename"
      ? `collection ${collection} was renamed to ${to}`
      : operation === "drop"
      ? `collection ${collection} was dropped`
      : "the database was dropped";
    throw new AppError(
      "source_changed",
      `following '${this.db.databaseName}': ${what}; the rows are kept as they were. If that was a mistake, put it ` +
        "back; then run 'sync --restart', which compares both sides and continues from now",
    );
  }

  /** Closes the cursor on the server. */
  async close(): Promise<void> {
    if (this.#cursor === 0n) return;
    await this.db.command({ killCursors: "$cmd.aggregate", cursors: [this.#cursor] }).catch(() => {});
  }
}
