/** Writes to the source as the old backend does: a subtask after the other ends, and is marked so. */
import { type AnyBulkWriteOperation, type Db, type Document, MongoClient, type ObjectId } from "mongodb";

/** A running writer. */
export interface Writer extends AsyncDisposable {
  /** Number of acknowledged writes. */
  count(): number;
}

const ended = (number: number): Document => ({
  status: number % 10 === 0 ? "failed" : "completed",
  result: {
    url: `https://img.example.com/${number}.webp`,
    width: 1024,
    height: 1024,
    seed: number,
    created_at: "2026-01-02T11:04:05.678000+08:00",
  },
  updated_at: new Date(),
});

const updateOf = (_id: ObjectId, number: number): AnyBulkWriteOperation => ({
  updateOne: { filter: { _id }, update: { $set: ended(number), $inc: { retry_count: 1 } } },
});

/** Returns the `_id`s of all subtasks. */
export const readIds = async (db: Db): Promise<ObjectId[]> =>
  (await db.collection("dramatiq_tasks").find({}, { projection: { _id: 1 } }).sort({ _id: 1 }).toArray()).map(
    ({ _id }) => _id,
  );

/**
 * Updates subtasks as fast as the server takes them.
 *
 * @returns seconds
 */
export async function writeAll(db: Db, ids: readonly ObjectId[]): Promise<number> {
  const atOnce = 1000;
  const started = performance.now();
  for (let at = 0; at < ids.length; at += atOnce) {
    const operations = ids.slice(at, at + atOnce).map((id, i) => updateOf(id, at + i));
    await db.collection("dramatiq_tasks").bulkWrite(operations, {
      ordered: false,
      writeConcern: { w: "majority" },
    });
  }
  return (performance.now() - started) / 1000;
}

const tickMs = 50;

/** Starts to update subtasks at a rate. */
export async function startWriter(url: string, ids: readonly ObjectId[], perSecond: number): Promise<Writer> {
  const client = await new MongoClient(url).connect();
  const db = client.db();
  const stopped = new AbortController();
  let count = 0;
  const running = (async () => {
    const started = performance.now();
    while (!stopped.signal.aborted) {
      const due = Math.floor((performance.now() - started) / 1000 * perSecond) - count;
      const operations = Array.from(
        { length: due },
        (_, i) => updateOf(ids[(count + i) * 7919 % ids.length]!, count + i),
      );
      if (due > 0) await db.collection("dramatiq_tasks").bulkWrite(operations, { ordered: false });
      count += due;
      await new Promise((resolve) => setTimeout(resolve, tickMs));
    }
  })();
  return {
    count: () => count,
    async [Symbol.asyncDispose]() {
      stopped.abort();
      await running;
      await client.close();
    },
  };
}
