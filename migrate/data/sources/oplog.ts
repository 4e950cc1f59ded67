/** The oplog of a replica set: how far it reaches back, and how long a position stays in it. */
import type { Document, Timestamp } from "bson";
import type { FollowedMongo } from "./mongo_follow.ts";

export interface Oplog {
  /** Seconds since 1970 of the oldest and of the newest entry. */
  fromSeconds: number;
  toSeconds: number;
  /** Time that the oplog covers when it is full, at the rate of its present entries. */
  windowSeconds: number;
}

const secondsOf = (entry: Document | undefined): number | undefined =>
  (entry?.ts as Timestamp | undefined)?.t;

/** Reads the oplog. Returns undefined if the server has none, or the account may not read it. */
export async function readOplog({ db, client }: FollowedMongo): Promise<Oplog | undefined> {
  const oplog = client.db("local").collection("oplog.rs");
  try {
    const ends = ([1, -1] as const).map((direction) =>
      oplog.find({}, { projection: { ts: 1 } }).sort({ $natural: direction }).limit(1).next()
    );
    const [first, last] = (await Promise.all(ends)).map((entry) => secondsOf(entry ?? undefined));
    if (first === undefined || last === undefined) return undefined;
    const { size, maxSize } = await db.client.db("local").command({ collStats: "oplog.rs" });
    const span = Math.max(1, last - first);
    // A new oplog is not full yet, and covers more time before it overwrites its first entry.
    const windowSeconds = size > 0 && size < maxSize ? span * (maxSize / size) : span;
    return { fromSeconds: first, toSeconds: last, windowSeconds };
  } catch {
    return undefined;
  }
}

/** Returns for how many seconds a position stays in the oplog. */
export const headroomSeconds = ({ toSeconds, windowSeconds }: Oplog, positionSeconds: number): number =>
  Math.max(0, positionSeconds + windowSeconds - toSeconds);
