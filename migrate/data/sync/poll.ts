/**
 * Changes of a standalone, which has no change stream: documents whose `updated_at` is not older than the last poll.
 * Deletions, and changes that leave `updated_at` as it was, are found only when both sides are compared.
 */
import { wait } from "../../../wait.ts";
import type { Document } from "bson";
import { tagId } from "../documents/ids.ts";
import { type Collection, collections } from "../documents/source.ts";
import type { ChangeBatch, ChangedKeys } from "../sources/change_stream.ts";
import { idDocument } from "../sources/mongo_bounds.ts";
import { type FollowedMongo, idOf } from "../sources/mongo_follow.ts";
import { positionMs, toPosition } from "../sources/positions.ts";
import { failpoint } from "../tools/failpoint.ts";

/** Interval of the polls, and how far each goes back before the last one, in milliseconds. */
const intervalMs = 1000;
const overlapMs = 10_000;

/** Returns the server's clock as a position. */
export async function clockPosition({ db }: FollowedMongo): Promise<bigint> {
  const { localTime } = await db.command({ hello: 1 });
  return toPosition({ t: Math.floor((localTime as Date).getTime() / 1000), i: 0 });
}

/** Yields the changes since a position, as a change stream does. */
export class Poll {
  #since: bigint;
  #isFirst = true;
  /** Time and size of the documents that the last poll found. Those that have not changed are left out. */
  readonly #versions = new Map<Collection, Map<string, string>>();

  constructor(readonly source: FollowedMongo, since: bigint) {
    this.#since = since;
  }

  async next(): Promise<ChangeBatch> {
    if (!this.#isFirst) await wait(intervalMs);
    this.#isFirst = false;
    const position = await clockPosition(this.source);
    const from = new Date(positionMs(this.#since) - overlapMs);
    const keys: ChangedKeys = new Map();
    let events = 0;
    for (const collection of collections) {
      const found = new Map<string, Uint8Array>();
      const pipeline: Document[] = [
        { $match: { updated_at: { $gte: from } } },
        { $project: { updated_at: 1, h: { $bsonSize: "$$ROOT" } } },
      ];
      const versions = new Map<string, string>();
      for await (const batch of this.source.aggregate(collection, pipeline)) {
        for (const bytes of batch) {
          const tag = tagId(idOf(bytes));
          versions.set(tag, bytes.toHex());
          if (this.#versions.get(collection)?.get(tag) !== bytes.toHex()) found.set(tag, idDocument(bytes));
        }
      }
      this.#versions.set(collection, versions);
      events += found.size;
      keys.set(collection, found);
    }
    failpoint("poll.read");
    this.#since = position;
    return { keys, events, token: null, position, sourcePosition: position };
  }

  async close(): Promise<void> {}
}
