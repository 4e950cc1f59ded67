/**
 * The first copy: reads each collection in `_id` order while it changes. Changes since the position that was stored
 * before the first read are applied afterwards.
 */
import type { Sql } from "../../../db/pg/connect.ts";
import { isRefusedRow } from "../../../passing.ts";
import type { Collection } from "../documents/source.ts";
import { deferredFrom, dropIndexes, recreateIndexes } from "../load/deferred_indexes.ts";
import { buildOnPartitions } from "../../schema/concurrent_index.ts";
import { analyzeParents, analyzeSubtasks, countSubtasks, linkOwners } from "../load/settle.ts";
import type { FollowedMongo, KeyedRaw } from "../sources/mongo_follow.ts";
import { failpoint } from "../tools/failpoint.ts";
import { insertQuarantined, insertRowEntries, insertWaiting } from "./entries.ts";
import { mapDocuments, type MappedDocuments } from "./mapping.ts";
import { type SyncContext, SyncSession } from "./session.ts";
import { copyRows } from "./stage.ts";
import { findLastRange, insertCopiedRange, setFollowState } from "./state.ts";

/** Approximate bytes of documents in one transaction. */
const chunkBytes = 2 * 1024 * 1024;

/** Documents of consecutive `_id`s, which one transaction copies. */
interface Chunk {
  collection: Collection;
  number: number;
  lower: string;
  upper: string;
  documents: KeyedRaw[];
  bytes: number;
}

/** Reads a collection in chunks, after the last range that was copied. */
async function* readChunks(
  source: FollowedMongo,
  collection: Collection,
  last: { number: number; upper: string } | undefined,
): AsyncGenerator<Chunk> {
  let number = (last?.number ?? 0) + 1;
  let lower = last?.upper ?? "";
  let documents: KeyedRaw[] = [];
  let bytes = 0;
  let upper = lower;
  for await (const page of source.readPages(collection, lower)) {
    failpoint("copy_all.page_read");
    documents.push(...page.documents);
    bytes += page.bytes;
    upper = page.last;
    if (bytes < chunkBytes) continue;
    yield { collection, number, lower, upper, documents, bytes };
    number++;
    lower = upper;
    documents = [];
    bytes = 0;
  }
  if (documents.length > 0) yield { collection, number, lower, upper, documents, bytes };
}

const storeRange = (sql: Sql, { collection, number, lower, upper, documents }: Chunk): Promise<void> =>
  insertCopiedRange(sql, { collection, number, lower, upper, documents: documents.length });

/** Writes users and tasks as a batch of changes is written. */
async function applyChunk({ lease }: SyncContext, { applier }: SyncSession, chunk: Chunk): Promise<void> {
  const { collection, documents } = chunk;
  await applier.apply(
    [{ collection, found: documents, missing: [] }],
    (sql) => lease.check(sql),
    (sql) => storeRange(sql, chunk),
  );
}

/** Writes subtasks directly into their table. Fails if one of their keys exists or a value is refused. */
async function copyChunk(
  { lease, fingerprint }: SyncContext,
  { sql }: SyncSession,
  chunk: Chunk,
  { staged, rejected, waiting }: MappedDocuments,
): Promise<void> {
  await sql`begin`;
  await lease.check(sql);
  failpoint("copy_all.begun");
  if (staged.length > 0) await copyRows(sql, chunk.collection, staged);
  failpoint("copy_all.rows_copied");
  await insertRowEntries(sql, fingerprint, staged);
  await insertQuarantined(sql, fingerprint, rejected, new Set());
  await insertWaiting(sql, waiting, new Set());
  failpoint("copy_all.entries_written");
  await storeRange(sql, chunk);
  failpoint("copy_all.range_stored");
  await sql`commit`;
  failpoint("copy_all.committed");
}

/** Writes chunks of subtasks, one after the other, while the caller maps the next one. */
class SubtaskWriter implements AsyncDisposable {
  #pending: Promise<void> = Promise.resolve();

  private constructor(readonly context: SyncContext, private session: SyncSession) {}

  static async open(context: SyncContext): Promise<SubtaskWriter> {
    return new SubtaskWriter(context, await SyncSession.open(context));
  }

  map({ collection, documents }: Chunk): MappedDocuments {
    const { parents } = this.session.applier;
    const mapped = mapDocuments(collection, documents, (name) => parents.find(name));
    failpoint("copy_all.mapped");
    return mapped;
  }

  /** Begins to write a chunk, after the chunk before it is committed. */
  async write(chunk: Chunk, mapped: MappedDocuments): Promise<void> {
    await this.#pending;
    this.#pending = this.#write(chunk, mapped);
    this.#pending.catch(() => {});
  }

  /** Waits until all chunks are committed. */
  finish(): Promise<void> {
    return this.#pending;
  }

  async #write(chunk: Chunk, mapped: MappedDocuments): Promise<void> {
    const { context } = this;
    try {
      await this.session.guard(copyChunk(context, this.session, chunk, mapped));
    } catch (error) {
      if (!isRefusedRow(error)) throw error;
      failpoint("copy_all.conflict");
      // After a failed COPY the connection cannot be used any more. The chunk is applied like changes.
      await this.session[Symbol.asyncDispose]();
      this.session = await SyncSession.open(context);
      await this.session.guard(applyChunk(context, this.session, chunk));
    }
    context.progress.add(chunk.bytes, chunk.documents.length);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pending.catch(() => {});
    await this.session[Symbol.asyncDispose]();
  }
}

async function copySubtasks(context: SyncContext): Promise<void> {
  const { source, signal, pool } = context;
  const collection = "dramatiq_tasks";
  await using writer = await SubtaskWriter.open(context);
  for await (const chunk of readChunks(source, collection, await findLastRange(pool, collection))) {
    signal.throwIfAborted();
    await writer.write(chunk, writer.map(chunk));
  }
  await writer.finish();
}

async function copyParents(context: SyncContext, collection: "users" | "tasks"): Promise<void> {
  const { source, progress, signal, pool } = context;
  await using session = await SyncSession.open(context);
  for await (const chunk of readChunks(source, collection, await findLastRange(pool, collection))) {
    signal.throwIfAborted();
    await session.guard(applyChunk(context, session, chunk));
    progress.add(chunk.bytes, chunk.documents.length);
  }
}

/** Name of the index that finds subtasks by `_id`. It exists while a source is followed. */
const followIndex = "subtasks_legacy_id_idx";

/** Creates the index that finds subtasks by `_id`, if it does not exist. */
export async function createFollowIndex(sql: Sql): Promise<void> {
  const [index] = await sql`
    select i.indisvalid as valid, c.relkind = 'I' as "isPartitioned"
    from pg_index i join pg_class c on c.oid = i.indexrelid
    where i.indexrelid = to_regclass(${followIndex})`;
  if (index?.valid) return;
  // A killed process leaves an invalid index.
  if (index) await sql.unsafe(`drop index ${index.isPartitioned ? "" : "concurrently"} ${followIndex}`);
  const statement = `create index concurrently ${followIndex} on subtasks (legacy_id)`;
  if (!await buildOnPartitions(sql, statement)) await sql.unsafe(statement);
}

async function finishCopy({ pool }: SyncContext): Promise<void> {
  const sql = await pool.reserve();
  try {
    await recreateIndexes(sql);
    failpoint("copy_all.indexes_recreated");
    await sql`begin`;
    await countSubtasks(sql);
    await linkOwners(sql);
    await analyzeParents(sql);
    await analyzeSubtasks(sql);
    await sql`commit`;
    failpoint("copy_all.counted");
    await createFollowIndex(sql);
    failpoint("copy_all.index_created");
  } finally {
    sql.release();
  }
}

/**
 * Copies all documents and sets the state `following`. Continues after the last range that was copied.
 *
 * @throws errors of both databases; after them the same call continues
 */
export async function copyAll(context: SyncContext): Promise<void> {
  const { pool, source, progress, onNote } = context;
  progress.begin("copying", await source.countBytes());
  const subtasks = await source.estimateCount("dramatiq_tasks");
  if (subtasks >= deferredFrom) await pool.begin((sql) => dropIndexes(sql));
  for (const collection of ["users", "tasks"] as const) {
    await copyParents(context, collection);
    failpoint("copy_all.collection_done");
  }
  await copySubtasks(context);
  progress.begin("creating indexes", 0);
  await finishCopy(context);
  failpoint("copy_all.before_following");
  await setFollowState(pool, "following");
  failpoint("copy_all.following");
  progress.end();
  onNote("the copy is complete; applying the changes since it began");
}
