/** A MongoDB that tests follow, and the check that its documents and the rows agree in full. */
import assert from "node:assert/strict";
import { type Db, MongoClient } from "mongodb";
import { type LocalMongo, type LocalMongoOptions, startMongo } from "../../../dev/servers/mongo.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { documentKey, tagId } from "../../../migrate/data/documents/ids.ts";
import { readBson } from "../../../migrate/data/documents/bson_read.ts";
import { collections } from "../../../migrate/data/documents/source.ts";
import { encodeRow, keyOf, mapDocument, type MappedRow, tables } from "../../../migrate/data/lens/tables.ts";
import { copyOut } from "../../../migrate/data/tools/copy.ts";
import { idOf, openFollowed, wrapDocuments } from "../../../migrate/data/sources/mongo_follow.ts";
import { toPosition } from "../../../migrate/data/sources/positions.ts";
import { follow } from "../../../migrate/data/sync/follow.ts";
import { Lease } from "../../../migrate/data/sync/lease.ts";
import { startFollow, type StartOptions } from "../../../migrate/data/sync/start.ts";
import { findFollow } from "../../../migrate/data/sync/state.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { waitFor } from "../../support/wait.ts";
import { insertRaw } from "./mongo_raw.ts";
import { type Documents, makeEdgeCaseBson, mongod } from "./sources.ts";

export const databaseName = "old";

/** A running MongoDB with the three collections. */
export interface Followed extends AsyncDisposable {
  mongo: LocalMongo;
  db: Db;
  /** Inserts BSON as it is. */
  insert(documents: Partial<Documents>): Promise<void>;
}

/** Inserts BSON as it is, and creates the three collections. */
export async function insertAll(url: string, database: string, documents: Partial<Documents>): Promise<void> {
  for (const collection of collections) {
    await insertRaw(url, { database, collection, documents: documents[collection] ?? [] });
  }
}

/** Starts a replica set of one member, or a standalone, with three empty collections. */
export async function startFollowed(options: LocalMongoOptions = { replicaSet: true }): Promise<Followed> {
  const mongo = await startMongo(mongod!, options);
  const client = new MongoClient(mongo.url);
  const insert = async (documents: Partial<Documents>) => {
    for (const [collection, list] of Object.entries(documents)) {
      await insertRaw(mongo.url, { database: databaseName, collection, documents: list });
    }
  };
  await insertAll(mongo.url, databaseName, {});
  return {
    mongo,
    db: client.db(databaseName),
    insert,
    async [Symbol.asyncDispose]() {
      await client.close();
      await mongo[Symbol.asyncDispose]();
    },
  };
}

const noNote = () => {};

/** Opens the source and the lease, and runs a sync until its signal is aborted, or once. */
async function runSync(
  sql: Pool,
  { mongo }: Followed,
  { once, signal, ...start }: Partial<StartOptions> & { once: boolean; signal: AbortSignal },
): Promise<void> {
  await using source = await openFollowed(mongo.url, databaseName);
  await using lease = await Lease.acquire(sql, "sync");
  const options = { mode: "stream" as const, restart: false, acceptShortOplog: true, ...start };
  const { fingerprint } = await startFollow(sql, source, options, noNote);
  await follow(
    { pool: sql, source, lease, fingerprint, progress: silentProgress, onNote: noNote, signal },
    { once, onBatch: noNote, onRetry: noNote },
  );
}

/** Copies, applies all changes up to now, and ends. */
export async function syncOnce(
  sql: Pool,
  followed: Followed,
  start: Partial<StartOptions> = {},
): Promise<void> {
  const signal = AbortSignal.timeout(120_000);
  await runSync(sql, followed, { once: true, signal, ...start });
  signal.throwIfAborted();
}

/** A sync that runs beside a test. */
export interface RunningSync extends AsyncDisposable {
  /** Waits until everything that the source has now is applied. */
  settle(): Promise<void>;
  /** Stops it and returns its error, if it ended with one. */
  stop(): Promise<unknown>;
}

/** Starts a sync beside a test. */
export function startSync(sql: Pool, followed: Followed, start: Partial<StartOptions> = {}): RunningSync {
  const stopped = new AbortController();
  let failure: unknown;
  const running = runSync(sql, followed, { once: false, signal: stopped.signal, ...start })
    .catch((error) => failure = error);
  const stop = async () => {
    stopped.abort();
    await running;
    return failure;
  };
  const settle = async () => {
    const { operationTime } = await followed.db.command({ ping: 1 });
    const target = toPosition(operationTime);
    await waitFor("the sync to apply all changes", async () => {
      if (failure) throw failure;
      const follow = await findFollow(sql);
      return follow?.state === "following" && BigInt(follow.position ?? 0) >= target;
    }, 60_000);
  };
  return { settle, stop, [Symbol.asyncDispose]: async () => void await stop() };
}

/** Returns the edge cases that a server accepts: one document of each `_id`, and no invalid BSON. */
export async function makeEdgeCases(): Promise<Documents> {
  const documents = await makeEdgeCaseBson();
  documents.dramatiq_tasks.splice(300, 1);
  for (const name of collections) {
    const ids = documents[name].map((bytes) => tagId(idOf(bytes)));
    documents[name] = documents[name].filter((_, i) => ids.indexOf(ids[i]!) === i);
  }
  return documents;
}

/** Reads all documents of a collection as bytes, in `_id` order. */
export const readAll = async (db: Db, collection: string): Promise<Uint8Array[]> =>
  await db.collection(collection).find({}, { raw: true, readConcern: { level: "majority" } }).sort({ _id: 1 })
    .toArray() as unknown as Uint8Array[];

/** Names of the tasks that have rows, by the rule of a load: own names first, then `_id`s. */
async function readNames(sql: Pool): Promise<Map<string, string>> {
  const tasks = await sql<{ id: string; legacy_id: string; extra: Record<string, unknown> | null }[]>`
    select id::text as id, legacy_id, extra from tasks order by legacy_id`;
  const names = new Map<string, string>();
  for (const { id, extra } of tasks) {
    for (const name of [id, extra?.id, extra?.task_uuid]) {
      if (typeof name === "string" && !names.has(name)) names.set(name, id);
    }
  }
  for (const { id, legacy_id } of tasks) if (!names.has(legacy_id)) names.set(legacy_id, id);
  return names;
}

/** Documents without a row of their own by reason, and the bytes that the ledger keeps of them. */
interface Exception {
  reason: string;
  original: Uint8Array;
  has_row: boolean;
}

async function readExceptions(sql: Pool, collection: string): Promise<Map<string, Exception>> {
  const rows = await sql`
    select document_id, reason, original, has_row from migration.waiting where collection = ${collection}
    union all
    select document_id, reason, original, has_row from migration.quarantine where collection = ${collection}`;
  return new Map(rows.map(({ document_id, ...exception }) => [document_id, exception as Exception]));
}

async function readLines(sql: Pool, collection: keyof typeof tables): Promise<Map<string, string>> {
  const { name, columns, keyColumns } = tables[collection];
  const lines = new Map<string, string>();
  const statement = `copy (select ${columns.join()} from ${name} where generation is not null) to stdout`;
  for await (const line of copyOut(sql, statement)) {
    lines.set(line.split("\t", keyColumns.length).join("/"), line);
  }
  return lines;
}

const formatEntries = (entries: readonly { rule: string; path: string }[]) =>
  entries.map(({ rule, path }) => `${rule} ${path}`).sort().join();

async function checkEntries(
  sql: Pool,
  collection: string,
  mapped: ReadonlyMap<string, MappedRow>,
): Promise<void> {
  const adjustments = await sql`
    select document_id, json_agg(json_build_object('rule', rule, 'path', path)) as rules
    from migration.adjustments where collection = ${collection} group by document_id`;
  const found = new Map(adjustments.map(({ document_id, rules }) => [document_id, formatEntries(rules)]));
  const originals = await sql`select document_id from migration.originals where collection = ${collection}`;
  const kept = new Set(originals.map(({ document_id }) => document_id));
  for (const [document, { adjustments, keepOriginal }] of mapped) {
    assert.equal(found.get(document) ?? "", formatEntries(adjustments), `adjustments of ${document}`);
    assert.equal(kept.has(document), keepOriginal, `original of ${document}`);
    found.delete(document);
    kept.delete(document);
  }
  assert.deepEqual([...found.keys(), ...kept], [], "ledger entries without a document");
}

const anyTask = "00000000-0000-0000-0000-000000000000";

async function checkCollection(
  sql: Pool,
  db: Db,
  collection: keyof typeof tables,
  names: Map<string, string>,
) {
  const documents = await readAll(db, collection);
  const exceptions = await readExceptions(sql, collection);
  const lines = await readLines(sql, collection);
  const mappedRows = new Map<string, MappedRow>();
  const keys = new Set<string>();
  const waiting: { id: string; key: string; email: string | null | undefined }[] = [];
  for (const [i, raw] of wrapDocuments(documents).entries()) {
    const id = documentKey(readBson(documents[i]!).get("_id")!);
    const mapped = mapDocument(collection, raw, (name) => names.get(name));
    const exception = exceptions.get(id);
    exceptions.delete(id);
    if (exception) {
      assert.deepEqual(new Uint8Array(exception.original), new Uint8Array(documents[i]!), `bytes of ${id}`);
    }
    if ("rejected" in mapped) {
      const reasons = [mapped.rejected.reason];
      if (mapped.rejected.reason === "orphan") {
        // A faulty document stays in quarantine when its task goes.
        const faulty = mapDocument(collection, raw, () => anyTask);
        if ("rejected" in faulty) reasons.push(faulty.rejected.reason);
      }
      assert.ok(
        reasons.includes(exception?.reason ?? ""),
        `reason of ${id}: ${exception?.reason}, not ${reasons}`,
      );
    } else if (exception) {
      assert.match(exception.reason, /^duplicate_/, `reason of ${id}: ${exception.reason}`);
      waiting.push({ id, key: keyOf(collection, mapped.row), email: mapped.row.email });
    } else {
      const key = keyOf(collection, mapped.row);
      assert.equal(lines.get(key), encodeRow(collection, mapped.row), `row of ${collection} ${id}`);
      lines.delete(key);
      keys.add(key).add(`email ${mapped.row.email}`);
      mappedRows.set(id, mapped);
      continue;
    }
    if (exception!.has_row) keys.add("(stale)");
  }
  for (const { id, key, email } of waiting) {
    assert.ok(
      keys.has(key) || keys.has(`email ${email}`),
      `${collection} ${id} waits although its key is free`,
    );
  }
  const stale = await sql`
    select count(*)::int as n from (
      select from migration.waiting where collection = ${collection} and has_row
      union all select from migration.quarantine where collection = ${collection} and has_row
    ) as s`;
  assert.equal(lines.size, stale[0]!.n, `rows without a document: ${[...lines.keys()].slice(0, 3)}`);
  assert.deepEqual([...exceptions.keys()], [], "exceptions without a document");
  await checkEntries(sql, collection, mappedRows);
}

/** Asserts that every document has its row, or a true reason for none, and that counters and holds are right. */
export async function assertFollowed(sql: Pool, db: Db): Promise<void> {
  const names = await readNames(sql);
  for (const collection of collections) await checkCollection(sql, db, collection, names);
  const wrong = await sql`
    select t.id, t.subtasks_total, c.total
    from tasks t
    left join lateral (
      select count(*) as total, count(*) filter (where status = 'completed') as completed,
        count(*) filter (where status = 'failed') as failed, count(*) filter (where status = 'cancelled') as cancelled,
        count(*) filter (where status in ('pending', 'processing')) as unfinished
      from subtasks s where s.parent_task_id = t.id
    ) as c on true
    where (t.subtasks_total, t.subtasks_completed, t.subtasks_failed, t.subtasks_cancelled)
        is distinct from (c.total, c.completed, c.failed, c.cancelled)
      or (t.hold is null and (c.unfinished > 0 or t.status in ('pending', 'processing')))
      or t.owner_id is distinct from (select u.id from users u where u.email = t.username)`;
  assert.deepEqual([...wrong], [], "tasks with wrong counters, hold or owner");
}

/** Writes until the oplog, which must be a small one, does not reach back to this moment. */
export async function overwriteOplog({ db, mongo }: Followed): Promise<void> {
  await using client = new MongoClient(mongo.url);
  const oplog = client.db("local").collection("oplog.rs");
  const { operationTime } = await db.command({ ping: 1 });
  const other = client.db("elsewhere").collection("fill");
  await waitFor("the oplog to be overwritten", async () => {
    await other.insertMany(Array.from({ length: 100 }, () => ({ text: "x".repeat(20_000) })));
    const [first] = await oplog.find({}, { projection: { ts: 1 } }).sort({ $natural: 1 }).limit(1).toArray();
    return first!.ts.greaterThan(operationTime);
  });
}
