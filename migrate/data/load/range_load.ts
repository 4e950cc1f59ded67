/**
 * Loads the ranges of a source. Ranges are mapped in the order of the source, and three connections write them in
 * turn, so that the server works on several ranges at once. They are committed in the order of the source as well, so a
 * crash leaves a prefix of the source, as if the ranges had been loaded one by one.
 */
import { createHash } from "node:crypto";
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { type Batch, BatchBuilder, type BatchContext, copyColumns } from "./batch.ts";
import { Bloom } from "./bloom.ts";
import { copyIn } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import { finishRange, insertEntries } from "../ledger/ledger.ts";
import { insertUncertain } from "./merge.ts";
import { type Plan, rangeBytesDefault } from "./plan.ts";
import type { Progress } from "../tools/progress.ts";
import type { Range, RawDocument, Source } from "../documents/source.ts";
import { HintBitSetter } from "./hint_bits.ts";
import { LineBuffer } from "../tools/line_buffer.ts";
import { CastCache } from "./rows.ts";
import { tables } from "../lens/tables.ts";

/** Connections that write ranges in turn. */
export type Connections = readonly [postgres.ReservedSql, postgres.ReservedSql, ...postgres.ReservedSql[]];

export interface RangesWork {
  plan: Plan;
  ranges: Range[];
  runId: string;
  progress: Progress;
  signal: AbortSignal | undefined;
}

/** A mapped range: everything that its transaction writes. */
interface MappedRange {
  range: Range;
  lines: LineBuffer;
  batch: Batch;
  digest: string;
}

/** Bytes of COPY text in one message to the server. */
const chunkBytes = 64 * 1024;

function* splitChunks(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += chunkBytes) yield bytes.subarray(at, at + chunkBytes);
}

/** Buffers of ranges that are written. New ones for every range would cost more memory, until they are collected. */
class LineBuffers {
  readonly #free: LineBuffer[] = [];

  take(bytesExpected: number): LineBuffer {
    const lines = this.#free.pop() ?? new LineBuffer(bytesExpected);
    lines.reserve(bytesExpected);
    return lines;
  }

  /** Takes a buffer back. One that grew for a huge document is not kept. */
  giveBack(lines: LineBuffer): void {
    if (lines.bytes.length > 2 * rangeBytesDefault) return;
    lines.clear();
    this.#free.push(lines);
  }
}

function mapRange(
  range: Range,
  raws: Iterable<RawDocument>,
  context: BatchContext,
  lines: LineBuffer,
): MappedRange {
  const builder = new BatchBuilder(range, context, lines);
  for (const raw of raws) {
    failpoint("range.document");
    builder.add(raw);
  }
  const { batch } = builder;
  const hash = createHash("sha256").update(lines.content);
  for (const { line } of batch.uncertain) hash.update(`${line}\n`);
  failpoint("range.transformed");
  return { range, lines, batch, digest: hash.digest("hex") };
}

interface RangeWriter extends RangesWork {
  casts: CastCache;
}

/**
 * Writes the rows, ledger entries and checkpoint of a range in one transaction.
 *
 * @param previous settles when the previous range is committed
 */
async function writeRange(
  sql: postgres.ReservedSql,
  { range, lines, batch, digest }: MappedRange,
  { plan: { fingerprint }, runId, casts }: RangeWriter,
  previous: Promise<void>,
): Promise<void> {
  const { collection } = range;
  failpoint("range.write_begun");
  const begun = sql`begin`.execute();
  begun.catch(() => {});
  if (lines.length > 0) {
    const columns = copyColumns(collection).join();
    await copyIn(sql, `copy ${tables[collection].name} (${columns}) from stdin`, splitChunks(lines.content));
  }
  await begun;
  failpoint("copy.ended");
  if (batch.uncertain.length > 0) {
    // The first document in the source keeps a key, so the rows of the previous range must be committed.
    await previous;
    failpoint("merge.begun");
    await insertUncertain(sql, collection, batch, casts);
    failpoint("merge.done");
  }
  await insertEntries(sql, fingerprint, range, batch.entries);
  const { tally } = batch.entries;
  failpoint("range.checkpointed");
  const done = await finishRange(sql, { fingerprint, range, tally, digest, runId });
  await previous;
  if (!done) {
    await sql`rollback`;
    throw new AppError(
      "busy",
      `loading ${collection} range ${range.number}: another run has loaded it already`,
    );
  }
  failpoint("range.before_commit");
  const committed = sql`commit`.execute();
  failpoint("range.commit_sent");
  await committed;
  failpoint("range.committed");
}

/** Returns a filter with the ids of all subtasks in the table, sized for `documents` more. */
async function fillBloom(sql: Sql, documents: number): Promise<Bloom> {
  const [row] = await sql`
    select sum(greatest(reltuples, 0))::float8 as rows
    from pg_class
    where oid = 'subtasks'::regclass
      or oid in (select inhrelid from pg_inherits where inhparent = 'subtasks'::regclass)`;
  const bloom = new Bloom(documents + Number(row?.rows ?? 0));
  await sql`select id::text as id from subtasks`.cursor(10_000, (rows) => {
    for (const { id } of rows) bloom.add(id);
  });
  return bloom;
}

/** Returns the plan's parents without tasks that are not in the table. */
async function findLoadedParents(sql: Sql, plan: Plan): Promise<Map<string, string>> {
  const loaded = new Set<string>();
  await sql`select id::text as id from tasks`.cursor(10_000, (rows) => {
    for (const { id } of rows) loaded.add(id);
  });
  return new Map([...plan.parents].filter(([, id]) => loaded.has(id)));
}

/** Returns the ids of all users by e-mail. */
async function findOwners(sql: Sql): Promise<Map<string, string>> {
  const rows = await sql`select email, id::text as id from users`;
  return new Map(rows.map(({ email, id }) => [email, id]));
}

/** Prepares the lookups for the documents of a collection, after its parents are loaded. */
async function prepare(sql: Sql, context: BatchContext, { collection }: Range): Promise<void> {
  if (collection === "tasks") context.owners = await findOwners(sql);
  if (collection === "dramatiq_tasks") {
    const parents = await findLoadedParents(sql, context.plan);
    context.findParent = (name) => parents.get(name);
  }
}

/**
 * Loads ranges, parents first.
 *
 * @returns the number of loaded documents
 * @throws AppError busy, source_changed; errors of the server. After an error the connections may be in any state of
 * the COPY protocol.
 */
export async function loadRanges(
  connections: Connections,
  source: Source,
  work: RangesWork,
): Promise<number> {
  const { plan, ranges, progress, signal } = work;
  const [sql] = connections;
  const context: BatchContext = {
    plan,
    findParent: () => undefined,
    owners: new Map(),
    bloom: await fillBloom(sql, plan.documents.dramatiq_tasks),
  };
  failpoint("bloom.filled");
  const writer: RangeWriter = { ...work, casts: new CastCache() };
  const hintBits = new HintBitSetter();
  const buffers = new LineBuffers();
  // The pending work of each connection, and the last range that was begun, which is committed last.
  const pending = connections.map(() => Promise.resolve());
  let last = Promise.resolve();
  let collection = "";
  let documents = 0;
  let next = ranges[0] && source.read(ranges[0]);
  for (const [i, range] of ranges.entries()) {
    if (signal?.aborted) await last;
    signal?.throwIfAborted();
    if (range.collection !== collection) {
      await last;
      progress.resetSpeed();
      await prepare(sql, context, range);
      failpoint("range.prepared");
    }
    collection = range.collection;
    const raws = await next!;
    failpoint("range.read");
    const following = ranges[i + 1];
    next = following && source.read(following);
    next?.catch(() => {});
    // A row is a little smaller than its document.
    const lines = buffers.take(range.bytes);
    const mapped = mapRange(range, raws, context, lines);
    const number = i % connections.length;
    const connection = connections[number]!;
    await pending[number];
    last = writeRange(connection, mapped, writer, last).then(() => {
      buffers.giveBack(lines);
      documents += range.documents;
      progress.add(range.bytes, range.documents);
    });
    pending[number] = tables[range.collection].isLarge ? last.then(() => hintBits.step(connection)) : last;
    // A failure is reported where these promises are awaited later.
    for (const promise of [last, pending[number]]) promise.catch(() => {});
  }
  await last;
  await Promise.all(pending);
  return documents;
}
