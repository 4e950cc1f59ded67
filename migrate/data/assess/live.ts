/** Facts about a running MongoDB that matter for a load: version, oplog window and indexes. */
import type { Db, MongoClient } from "mongodb";
import { connectMongo } from "../sources/mongo_connect.ts";
import { toAppError } from "../sources/mongo_errors.ts";
import { findMongo } from "../sources/open.ts";
import { collections } from "../documents/source.ts";

export interface ServerFacts {
  version: string;
  /** Seconds between the oldest and the newest oplog entry; null without an oplog or without the right to read it. */
  oplog_seconds: number | null;
  /** Indexes by collection: their fields, joined by commas, and `!` after unique ones. */
  indexes: Record<string, string[]>;
}

async function readOplogSeconds(client: MongoClient): Promise<number | null> {
  const oplog = client.db("local").collection("oplog.rs");
  try {
    const [first] = await oplog.find({}, { projection: { ts: 1 } }).sort({ $natural: 1 }).limit(1).toArray();
    const [last] = await oplog.find({}, { projection: { ts: 1 } }).sort({ $natural: -1 }).limit(1).toArray();
    return first && last ? last.ts.getHighBits() - first.ts.getHighBits() : null;
  } catch {
    return null;
  }
}

async function listIndexes(db: Db): Promise<ServerFacts["indexes"]> {
  const indexes: ServerFacts["indexes"] = {};
  for (const name of collections) {
    const found = await db.collection(name).indexes().catch(() => []);
    indexes[name] = found.map(({ key, unique }) => `${Object.keys(key).join()}${unique ? "!" : ""}`);
  }
  return indexes;
}

/**
 * Reads the facts of the server that `from` names.
 *
 * @param from a URL or `mongodb`, as for openSource()
 *
 * @throws AppError database_unreachable, database_refused
 */
export async function readServerFacts(from: string): Promise<ServerFacts> {
  const { url, database, setting } = findMongo(from);
  const { client, db, location, context } = await connectMongo(url, database, setting);
  try {
    const { version } = await db.command({ buildInfo: 1 });
    return { version, oplog_seconds: await readOplogSeconds(client), indexes: await listIndexes(db) };
  } catch (error) {
    throw toAppError(error, `reading facts of '${location}'`, context);
  } finally {
    await client.close().catch(() => {});
  }
}

const secondsPerHour = 3600;
/** The oplog must cover this many loads. */
const loadsInOplogMin = 4;
/** A replica set that has just been started has a short oplog because it has had no writes. */
const oplogSecondsMin = 60;

/** Fields that the old backend looks documents up by. */
const indexedFields: [collection: string, field: string][] = [
  ["users", "email"],
  ["tasks", "id"],
  ["dramatiq_tasks", "parent_task_id"],
];

/** Returns reasons to wait with a load, and notes. */
export function judgeServer(
  { version, oplog_seconds, indexes }: ServerFacts,
  loadSeconds: number,
): { waits: string[]; notes: string[] } {
  const notes = [`MongoDB ${version}`];
  const waits: string[] = [];
  if (oplog_seconds !== null) {
    const hours = (oplog_seconds / secondsPerHour).toFixed(1);
    if (oplog_seconds < loadSeconds * loadsInOplogMin && oplog_seconds > oplogSecondsMin) {
      const minutes = Math.ceil(loadSeconds / 60);
      waits.push(
        `the oplog covers only ${hours} h, and a load takes about ${minutes} min: make the oplog larger ` +
          "(replSetResizeOplog), or stop writes during the load",
      );
    } else notes.push(`the oplog covers ${hours} h`);
  }
  for (const [collection, field] of indexedFields) {
    const existing = indexes[collection] ?? [];
    if (existing.some((index) => index.replace("!", "").split(",")[0] === field)) continue;
    notes.push(
      `${collection}.${field} has no index: its values were not kept unique, and lookups were slow`,
    );
  }
  return { waits, notes };
}
