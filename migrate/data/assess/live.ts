/** What a living MongoDB says of itself: which server, how far back its oplog reaches, which indexes it has. */
import type { Db, MongoClient } from "mongodb";
import { parseConfig, readEnvironment } from "../../../config.ts";
import { explain, readUrl } from "../sources/mongo_errors.ts";
import { collections } from "../documents/source.ts";

export interface ServerFacts {
  version: string;
  /** From its oldest entry to its newest; null without an oplog, or where the account may not read it. */
  oplog_seconds: number | null;
  /** Fields of each index by collection, joined by commas; unique ones with a `!`. */
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
  const all: ServerFacts["indexes"] = {};
  for (const name of collections) {
    const indexes = await db.collection(name).indexes().catch(() => []);
    all[name] = indexes.map(({ key, unique }) => `${Object.keys(key).join()}${unique ? "!" : ""}`);
  }
  return all;
}

/**
 * Asks the server that `from` names; see openSource() for its forms.
 *
 * @throws AppError database_unreachable, database_refused
 */
export async function askServer(from: string): Promise<ServerFacts> {
  const url = from === "mongodb" ? parseConfig(readEnvironment(), "migrate").MONGODB_URL : from;
  const named = /^[^/]*\/\/[^/]*\/[^?]/.test(url);
  const { name, shown, secrets } = readUrl(
    url,
    named ? "" : parseConfig(readEnvironment(), "migrate").DB_NAME,
  );
  const { MongoClient } = await import("mongodb");
  const client = new MongoClient(url, { appName: "contactsheet-assess", maxPoolSize: 1 });
  try {
    await client.connect();
    const db = client.db(name);
    const { version } = await db.command({ buildInfo: 1 });
    return { version, oplog_seconds: await readOplogSeconds(client), indexes: await listIndexes(db) };
  } catch (error) {
    throw explain(error, `asking '${shown}'`, secrets);
  } finally {
    await client.close().catch(() => {});
  }
}

const hour = 3600;

/** What of it speaks for waiting, and what is only to know. */
export function judgeServer(
  { version, oplog_seconds, indexes }: ServerFacts,
  loadSeconds: number,
): { waits: string[]; notes: string[] } {
  const notes = [`MongoDB ${version}`];
  const waits: string[] = [];
  if (oplog_seconds !== null) {
    const hours = (oplog_seconds / hour).toFixed(1);
    // A set that was started just now has a short oplog because there is nothing more to hold.
    if (oplog_seconds < loadSeconds * 4 && oplog_seconds > 60) {
      waits.push(
        `the oplog reaches back ${hours} h only, a load takes about ${
          Math.ceil(loadSeconds / 60)
        } min: make it ` +
          "bigger (replSetResizeOplog), or stop writes during the load",
      );
    } else notes.push(`the oplog holds ${hours} h`);
  }
  const wanted: [string, string][] = [["users", "email"], ["tasks", "id"], [
    "dramatiq_tasks",
    "parent_task_id",
  ]];
  for (const [collection, field] of wanted) {
    const own = indexes[collection] ?? [];
    if (own.some((index) => index.replace("!", "").split(",")[0] === field)) continue;
    notes.push(`no index on ${collection}.${field}: nothing kept it unique or made it quick to find`);
  }
  return { waits, notes };
}
