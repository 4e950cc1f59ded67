/**
 * Ranges of a source into rows: each is taken through the lens in the source's order, and two are under way at the
 * server at a time. They are committed in the source's order too, so whatever a crash leaves is the source's
 * beginning, as if they had come one by one.
 */
import { createHash } from "node:crypto";
import type postgres from "postgres";
import type { Sql } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";
import { type Batch, BatchBuilder, type BatchContext, copyColumns } from "./batch.ts";
import { Bloom } from "./bloom.ts";
import { copyIn } from "../tools/copy.ts";
import { failpoint } from "../tools/failpoint.ts";
import { finishRange, insertNotes } from "../ledger/ledger.ts";
import { mergeDoubtful } from "./merge.ts";
import type { Plan } from "./plan.ts";
import type { Progress } from "../tools/progress.ts";
import type { Range, RawDocument, Source } from "../documents/source.ts";
import { Sweeper } from "./sweep.ts";
import { tables } from "../lens/tables.ts";

/** Connections that take ranges in turn. */
export type Lanes = readonly [postgres.ReservedSql, ...postgres.ReservedSql[]];

export interface RangesWork {
  plan: Plan;
  ranges: Range[];
  runId: string;
  progress: Progress;
  signal: AbortSignal | undefined;
}

/** A range through the lens: all that its transaction writes. */
interface Ready {
  range: Range;
  chunks: Uint8Array[];
  batch: Batch;
  digest: string;
}

const encoder = new TextEncoder();

function transform(range: Range, raws: Iterable<RawDocument>, context: BatchContext): Ready {
  const hash = createHash("sha256");
  const builder = new BatchBuilder(range.collection, context);
  const chunks: Uint8Array[] = [];
  for (const text of builder.chunks(raws)) {
    const chunk = encoder.encode(text);
    hash.update(chunk);
    chunks.push(chunk);
  }
  const { batch } = builder;
  for (const { line } of batch.doubtful) hash.update(`${line}\n`);
  failpoint("range.transformed");
  return { range, chunks, batch, digest: hash.digest("hex") };
}

/** Rows, exceptions and checkpoint of a range; its COMMIT waits for the one `before`. */
async function writeRange(
  sql: postgres.ReservedSql,
  { range, chunks, batch, digest }: Ready,
  { plan: { fingerprint }, runId }: RangesWork,
  before: Promise<void>,
): Promise<void> {
  const { collection } = range;
  failpoint("range.asked");
  const begun = sql`begin`.execute();
  begun.catch(() => {});
  if (chunks.length > 0) {
    const columns = copyColumns(collection).join();
    await copyIn(sql, `copy ${tables[collection].name} (${columns}) from stdin`, chunks);
  }
  await begun;
  failpoint("copy.ended");
  if (batch.doubtful.length > 0) {
    // Who came first keeps the key: that is settled only when the rows before are in.
    await before;
    failpoint("merge.begun");
    await mergeDoubtful(sql, collection, batch);
    failpoint("merge.done");
  }
  await insertNotes(sql, fingerprint, range, batch.notes);
  const { tally } = batch.notes;
  failpoint("range.checkpointed");
  const done = await finishRange(sql, { fingerprint, range, tally, digest, runId });
  await before;
  if (!done) {
    await sql`rollback`;
    throw new AppError("busy", `loading ${collection} range ${range.number}: another run finished it`);
  }
  failpoint("range.before_commit");
  const committed = sql`commit`.execute();
  failpoint("range.commit_sent");
  await committed;
  failpoint("range.committed");
}

async function fillBloom(sql: Sql, documents: number): Promise<Bloom> {
  const [row] =
    await sql`select greatest(reltuples, 0)::float8 as rows from pg_class where oid = 'subtasks'::regclass`;
  const bloom = new Bloom(documents + Number(row?.rows ?? 0));
  await sql`select id::text as id from subtasks`.cursor(10_000, (rows) => {
    for (const { id } of rows) bloom.add(id);
  });
  return bloom;
}

/** What the lens asks while subtasks are loaded: only tasks that are in the table are parents. */
async function findLoaded(sql: Sql, plan: Plan): Promise<Map<string, string>> {
  const loaded = new Set<string>();
  await sql`select id::text as id from tasks`.cursor(10_000, (rows) => {
    for (const { id } of rows) loaded.add(id);
  });
  return new Map([...plan.parents].filter(([, id]) => loaded.has(id)));
}

async function findOwners(sql: Sql): Promise<Map<string, string>> {
  const rows = await sql`select email, id::text as id from users`;
  return new Map(rows.map(({ email, id }) => [email, id]));
}

/** What the documents of a collection are asked about, once those before it are in. */
async function prepare(sql: Sql, context: BatchContext, { collection }: Range): Promise<void> {
  if (collection === "tasks") context.owners = await findOwners(sql);
  if (collection === "dramatiq_tasks") {
    const parents = await findLoaded(sql, context.plan);
    context.findParent = (name) => parents.get(name);
  }
}

/**
 * Loads ranges, parents first.
 *
 * @returns documents carried
 * @throws AppError busy, source_changed; the server's errors. The lanes may be anywhere in COPY's protocol then.
 */
export async function loadRanges(lanes: Lanes, source: Source, work: RangesWork): Promise<number> {
  const { plan, ranges, progress, signal } = work;
  const [sql] = lanes;
  const context: BatchContext = {
    plan,
    findParent: () => undefined,
    owners: new Map(),
    bloom: await fillBloom(sql, plan.documents.dramatiq_tasks),
  };
  failpoint("bloom.filled");
  const sweeper = new Sweeper();
  // What each lane is at; the last begun is committed last.
  const busy = lanes.map(() => Promise.resolve());
  let last = Promise.resolve();
  let under = "";
  let documents = 0;
  let next = ranges[0] && source.read(ranges[0]);
  for (const [i, range] of ranges.entries()) {
    if (signal?.aborted) await last;
    signal?.throwIfAborted();
    if (range.collection !== under) {
      await last;
      progress.turn();
      await prepare(sql, context, range);
      failpoint("range.prepared");
    }
    under = range.collection;
    const raws = await next!;
    failpoint("range.read");
    const following = ranges[i + 1];
    next = following && source.read(following);
    next?.catch(() => {});
    const ready = transform(range, raws, context);
    const lane = i % lanes.length;
    await busy[lane];
    last = writeRange(lanes[lane]!, ready, work, last).then(() => {
      documents += range.documents;
      progress.add(range.bytes, range.documents);
    });
    busy[lane] = range.collection === "dramatiq_tasks" ? last.then(() => sweeper.step(lanes[lane]!)) : last;
    // Whoever awaits them hears of a failure; until then it is nobody's.
    for (const work of [last, busy[lane]]) work.catch(() => {});
  }
  await last;
  await Promise.all(busy);
  return documents;
}
