/** The way back in tests: runs it against a MongoDB, and compares what it wrote. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { Db } from "mongodb";
import type { Pool } from "../../../db/pg/connect.ts";
import { writeBack } from "../../../migrate/data/back/back.ts";
import { enableCapture, isCaptureEnabled } from "../../../migrate/data/back/capture.ts";
import { checkPreconditions } from "../../../migrate/data/back/preconditions.ts";
import type { BackVerdict } from "../../../migrate/data/back/suspects.ts";
import { verifyBack } from "../../../migrate/data/back/verify.ts";
import type { RefusedRow } from "../../../migrate/data/back/writer.ts";
import { documentKey } from "../../../migrate/data/documents/ids.ts";
import { readBson } from "../../../migrate/data/documents/bson_read.ts";
import { writeCanonical } from "../../../migrate/data/documents/ejson_write.ts";
import { collections } from "../../../migrate/data/documents/source.ts";
import { idOf, openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { Lease } from "../../../migrate/data/sync/lease.ts";
import { silentProgress } from "../../../migrate/data/tools/progress.ts";
import { databaseName, type Followed, readAll } from "./followed.ts";

const noNote = () => {};

export interface BackOnceOptions {
  /** Name of the database; the one that is followed by default. */
  database?: string;
  onNote?: (note: string) => void;
}

/** What a run did. */
export interface BackRun {
  documents: number;
  refused: RefusedRow[];
}

/** Writes all changes back, and ends. Enables the capture if it is not. */
export async function backOnce(
  sql: Pool,
  { mongo }: Pick<Followed, "mongo">,
  { database = databaseName, onNote = noNote }: BackOnceOptions = {},
): Promise<BackRun> {
  if (!await isCaptureEnabled(sql)) await enableCapture(sql);
  await using source = await openFollowed(mongo.url, database);
  await checkPreconditions(sql, source, { acceptOther: database !== databaseName, onNote });
  await using lease = await Lease.acquire(sql, "back");
  let documents = 0;
  const signal = AbortSignal.timeout(120_000);
  const refused = await writeBack({ pool: sql, source, lease }, {
    once: true,
    onBatch: (report) => documents += report.documents,
    onNote,
    signal,
  });
  signal.throwIfAborted();
  return { documents, refused };
}

/** Compares both sides. */
export async function compareSides(
  sql: Pool,
  { mongo }: Pick<Followed, "mongo">,
  database = databaseName,
): Promise<BackVerdict> {
  await using source = await openFollowed(mongo.url, database);
  return await verifyBack(sql, source, { progress: silentProgress, signal: AbortSignal.timeout(120_000) });
}

/** Records every row as changed. */
export async function recordAll(sql: Pool): Promise<void> {
  await sql`
    insert into migration.changes (collection, parent_id, row_id)
    select 'users', null::uuid, id from users
    union all select 'tasks', null, id from tasks
    union all select 'dramatiq_tasks', parent_task_id, id from subtasks`;
}

const show = (bytes: Uint8Array) => writeCanonical(readBson(bytes));

/** Asserts that two databases have the same documents, byte for byte, except some by `collection/_id`. */
export async function assertSameDocuments(
  found: Db,
  wanted: Db,
  except: ReadonlySet<string> = new Set(),
): Promise<void> {
  for (const collection of collections) {
    const [a, b] = await Promise.all([readAll(found, collection), readAll(wanted, collection)]);
    const chosen = b.filter((bytes) => !except.has(`${collection}/${documentKey(idOf(bytes))}`));
    for (const [i, bytes] of chosen.entries()) {
      if (a[i] && Buffer.compare(a[i], bytes) === 0) continue;
      assert.equal(a[i] && show(a[i]), show(bytes), `${collection} ${i}`);
      assert.fail(`${collection} ${i} differs in its bytes only: ${show(bytes)}`);
    }
    assert.equal(a.length, chosen.length, `documents of ${collection}`);
  }
}

/** Returns `collection/_id` of all documents that have no row. */
export async function listRowless(sql: Pool): Promise<Set<string>> {
  const rows = await sql`
    select collection, document_id from migration.waiting
    union select collection, document_id from migration.quarantine`;
  return new Set(rows.map(({ collection, document_id }) => `${collection}/${document_id}`));
}

/** Creates an empty database with the three collections. */
export async function makeEmpty(db: Db): Promise<Db> {
  for (const collection of collections) await db.createCollection(collection);
  return db;
}
