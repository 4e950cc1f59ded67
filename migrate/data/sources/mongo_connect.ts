/** Connects to a MongoDB, for reading and for following it. */
import type { Db, Document, MongoClient } from "mongodb";
import { AppError } from "../../../errors.ts";
import { formatLocation, toAppError } from "./mongo_errors.ts";
import type { MongoContext } from "./mongo_failure.ts";
import { type MongoSetting, parseMongoUrl } from "./mongo_url.ts";
import { collections } from "../documents/source.ts";

const connectMs = 5000;

/** A connected client. */
export interface MongoConnection {
  client: MongoClient;
  db: Db;
  /** The URL without user and password. */
  location: string;
  /** What messages need. */
  context: MongoContext;
  /** Each option of the URL that has no effect, with the reason. */
  notes: string[];
}

/**
 * Connects to a MongoDB.
 *
 * @param text `mongodb://…` or `mongodb+srv://…`; messages show it without its password
 * @param database name of the database; empty: the URL names it
 * @param setting where the URL comes from
 * @throws AppError invalid_source (the URL is invalid), database_unreachable, database_refused
 */
export async function connectMongo(
  text: string,
  database = "",
  setting?: MongoSetting,
): Promise<MongoConnection> {
  const parsed = parseMongoUrl(text, database, setting);
  const { name, shown, url, ignored } = parsed;
  const { MongoClient } = await import("mongodb");
  let client: MongoClient | undefined;
  try {
    client = new MongoClient(url, {
      ...(/[?&]appName=/.test(url) ? {} : { appName: "contactsheet-migrate" }),
      maxPoolSize: 2,
      ...(/[?&]serverSelectionTimeoutMS=/.test(url) ? {} : { serverSelectionTimeoutMS: connectMs }),
    });
    await client.connect();
    const notes = ignored.map(({ name, reason }) => `${name} in ${parsed.setting} has no effect: ${reason}`);
    return { client, db: client.db(name), location: formatLocation(client, name), context: parsed, notes };
  } catch (error) {
    await client?.close().catch(() => {});
    throw toAppError(error, `opening '${shown}'`, parsed);
  }
}

export type Topology = "replica set" | "standalone" | "sharded cluster";

// `hello` is unknown to servers before 4.4.2.
const hello = (db: Db): Promise<Document> =>
  db.command({ hello: 1 }).catch(() => db.command({ isMaster: 1 }));

/** Returns what kind of deployment a server belongs to. */
export async function findTopology(db: Db): Promise<Topology> {
  const { msg, setName } = await hello(db);
  if (msg === "isdbgrid") return "sharded cluster";
  return setName === undefined ? "standalone" : "replica set";
}

/** Reports whether a direct connection leads to a secondary. */
export const isSecondary = async (db: Db): Promise<boolean> => (await hello(db)).secondary === true;

/** Returns the bytes of a collection's documents, or 0 if the account has no permission. */
export async function readSize(db: Db, name: string): Promise<number> {
  const parts = await db.collection(name).aggregate([{ $collStats: { storageStats: {} } }]).toArray()
    .catch(() => []);
  return parts.reduce((sum, { storageStats }) => sum + Number(storageStats?.size ?? 0), 0);
}

/** @throws AppError source_missing when the database lacks one of the three collections */
export async function checkCollections(db: Db, location: string): Promise<void> {
  const names = (await db.listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name);
  const missing = collections.filter((name) => !names.includes(name));
  if (missing.length === 0) return;
  const existing = names.slice(0, 8).map((name) => `'${name}'`).join(", ");
  throw new AppError(
    "source_missing",
    `opening '${location}': the database has no collection ${missing.join(", ")} (it has ${
      existing || "none at all"
    }); name another database, or make an empty one there: db.createCollection('${missing[0]}')`,
  );
}
