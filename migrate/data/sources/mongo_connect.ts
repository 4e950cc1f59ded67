/** Connects to a MongoDB, for reading and for following it. */
import type { Db, MongoClient } from "mongodb";
import { AppError } from "../../../errors.ts";
import { formatLocation, parseMongoUrl, toAppError } from "./mongo_errors.ts";
import { collections } from "../documents/source.ts";

const connectMs = 5000;

/** A connected client. */
export interface MongoConnection {
  client: MongoClient;
  db: Db;
  /** The URL without user and password. */
  location: string;
  /** Texts that must not appear in messages. */
  secrets: readonly string[];
}

/**
 * Connects to a MongoDB.
 *
 * @param url `mongodb://…` or `mongodb+srv://…`; messages show it without its password
 * @param database name of the database; empty: the URL names it
 * @throws AppError invalid_source (the URL is invalid), database_unreachable, database_refused
 */
export async function connectMongo(url: string, database = ""): Promise<MongoConnection> {
  const { name, shown, secrets } = parseMongoUrl(url, database);
  const { MongoClient } = await import("mongodb");
  let client: MongoClient | undefined;
  try {
    client = new MongoClient(url, {
      appName: "contactsheet-migrate",
      maxPoolSize: 2,
      ...(/serverSelectionTimeoutMS=/i.test(url) ? {} : { serverSelectionTimeoutMS: connectMs }),
    });
    await client.connect();
    return { client, db: client.db(name), location: formatLocation(client, name), secrets };
  } catch (error) {
    await client?.close().catch(() => {});
    throw toAppError(error, `opening '${shown}'`, secrets);
  }
}

export type Topology = "replica set" | "standalone" | "sharded cluster";

/** Returns what kind of deployment a server belongs to. */
export async function findTopology(db: Db): Promise<Topology> {
  const hello = await db.command({ hello: 1 }).catch(() => db.command({ isMaster: 1 }));
  if (hello.msg === "isdbgrid") return "sharded cluster";
  return hello.setName === undefined ? "standalone" : "replica set";
}

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
