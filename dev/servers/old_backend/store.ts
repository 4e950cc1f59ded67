/** The three collections of the old backend, with its write concern and its index. */
import { BSON, type Collection, type Document, type Filter, type FindOptions, MongoClient } from "mongodb";

export interface Store extends AsyncDisposable {
  users: Collection<Document>;
  tasks: Collection<Document>;
  subtasks: Collection<Document>;
}

/** Connects and makes the index on e-mails. A write is acknowledged by the majority, and survives a failover. */
export async function openStore(url: string, database: string): Promise<Store> {
  const client = new MongoClient(url, {
    retryWrites: true,
    retryReads: true,
    writeConcern: { w: "majority" },
    readConcern: { level: "majority" },
    ignoreUndefined: true,
  });
  await client.connect();
  const db = client.db(database);
  const store = {
    users: db.collection("users"),
    tasks: db.collection("tasks"),
    subtasks: db.collection("dramatiq_tasks"),
  };
  await store.users.createIndex({ email: 1 }, { unique: true });
  await store.tasks.createIndex({ id: 1 });
  await store.subtasks.createIndex({ parent_task_id: 1 });
  await store.subtasks.createIndex({ status: 1 });
  return {
    users: store.users,
    tasks: store.tasks,
    subtasks: store.subtasks,
    [Symbol.asyncDispose]: () => client.close(),
  };
}

/** Finds documents whose numbers keep their types, so that answers distinguish 1 from 1.0. */
export async function findAll(
  collection: Collection<Document>,
  filter: Filter<Document>,
  options: FindOptions = {},
): Promise<Document[]> {
  const list = await collection.find(filter, Object.assign({ raw: true }, options)).toArray();
  return list.map((bytes) => BSON.deserialize(bytes as unknown as Uint8Array, { promoteValues: false }));
}

/** Like {@link findAll}, for one document. */
export async function findFirst(
  collection: Collection<Document>,
  filter: Filter<Document>,
): Promise<Document | undefined> {
  const [first] = await findAll(collection, filter, { limit: 1 });
  return first;
}
