/**
 * Compares every document of a followed source with its row while both change. First compares all documents in `_id`
 * order. Documents that differ may only lag: they are compared again when the sync has applied everything up to the
 * moment of the comparison, and count as different when three comparisons found the same.
 */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { rejectWhenLost } from "../../../db/pg/reserve.ts";
import { requireWritableServer } from "../../../db/pg/server.ts";
import { AppError } from "../../../errors.ts";
import { requireSchema } from "../../schema/runner.ts";
import { type Collection, collections } from "../documents/source.ts";
import { ObjectId } from "../documents/tree.ts";
import type { DocumentPage, FollowedMongo, KeyedRaw } from "../sources/mongo_follow.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { Progress } from "../tools/progress.ts";
import { LiveComparison } from "./live_differences.ts";
import { requireFollowed, SyncWatch, type WaitLimits, waitLimits } from "./live_follow.ts";
import { LiveReader } from "./live_reader.ts";
import { findWithoutDocument } from "./live_rest.ts";
import { countUndecided, finishLiveVerification, type LiveVerdict } from "./live_result.ts";
import {
  listDue,
  type LiveCheckpoint,
  type LiveVerification,
  openLiveVerification,
  readLiveCheckpoint,
  saveComparison,
  saveRechecks,
} from "./live_store.ts";

export interface LiveOptions {
  progress: Progress;
  signal?: AbortSignal;
  /** Begins a new verification instead of resuming an interrupted one. */
  again?: boolean;
  limits?: WaitLimits;
}

/** Documents, and their bytes, that are compared at once. */
const pageDocuments = 2000;
const pageBytes = 8 * 1024 * 1024;
/** Later than every `legacy_id`. */
const rowsEnd = "g";
const keysAtOnce = 500;

/** Pages of the source that were put together. */
interface Page {
  documents: KeyedRaw[];
  bytes: number;
  last: string;
}

/** Puts pages together, so that one comparison costs few statements. */
async function* joinPages(pages: AsyncIterable<DocumentPage>): AsyncGenerator<Page> {
  let documents: KeyedRaw[] = [];
  let bytes = 0;
  let last = "";
  for await (const page of pages) {
    documents.push(...page.documents);
    bytes += page.bytes;
    last = page.last;
    if (documents.length < pageDocuments && bytes < pageBytes) continue;
    yield { documents, bytes, last };
    documents = [];
    bytes = 0;
  }
  if (documents.length > 0) yield { documents, bytes, last };
}

/** Reads one page ahead, while the page before it is compared. */
async function* readAhead(pages: AsyncGenerator<Page>): AsyncGenerator<Page> {
  let next = pages.next();
  try {
    for (let page = await next; !page.done; page = await next) {
      next = pages.next();
      // A failure is thrown where the page is awaited.
      next.catch(() => {});
      yield page.value;
    }
  } finally {
    await next.catch(() => {});
    await pages.return(undefined);
  }
}

/** A run of a verification. */
class LiveVerifier {
  readonly #reader: LiveReader;

  constructor(
    readonly sql: postgres.ReservedSql,
    readonly source: FollowedMongo,
    readonly verification: LiveVerification,
    readonly follow: { fingerprint: string; isPolled: boolean },
    readonly options: LiveOptions,
  ) {
    this.#reader = new LiveReader(sql, source, follow.fingerprint, follow.isPolled);
  }

  async run(): Promise<LiveVerdict> {
    const { sql, verification, options: { progress } } = this;
    progress.begin("comparing documents", await this.source.countBytes());
    for (const collection of collections) {
      await this.#compareCollection(collection);
      progress.resetSpeed();
    }
    progress.begin("comparing again", 0);
    await this.#compareAgain();
    return await finishLiveVerification(sql, verification);
  }

  /** @throws AppError interrupted */
  #checkSignal(): void {
    if (!this.options.signal?.aborted) return;
    throw new AppError(
      "interrupted",
      "verifying: stopped on request; run the same command again to continue",
    );
  }

  async #compareCollection(collection: Collection): Promise<void> {
    const { sql, source, verification: { id }, options: { progress } } = this;
    const checkpoint = await readLiveCheckpoint(sql, id, collection);
    if (checkpoint.documents > 0) progress.resume(0, checkpoint.documents);
    if (checkpoint.isDone) return;
    const pages = readAhead(joinPages(source.readPages(collection, checkpoint.bound)));
    for await (const { documents, bytes, last } of pages) {
      this.#checkSignal();
      failpoint("live.page_read");
      const lastObjectId = documents.findLast((document) => document.id instanceof ObjectId)?.id;
      const range = {
        after: checkpoint.rowsBound,
        upTo: lastObjectId instanceof ObjectId ? lastObjectId.hex : checkpoint.rowsBound,
      };
      const comparison = await this.#reader.comparePage(collection, { documents, range });
      failpoint("live.page_compared");
      checkpoint.bound = last;
      checkpoint.rowsBound = range.upTo;
      checkpoint.documents += documents.length;
      await this.#save(collection, comparison, checkpoint);
      progress.add(bytes, documents.length);
    }
    await this.#compareRest(collection, checkpoint);
  }

  /** Compares the rows after the last document, and whatever the target has of documents that do not exist. */
  async #compareRest(collection: Collection, checkpoint: LiveCheckpoint): Promise<void> {
    const range = { after: checkpoint.rowsBound, upTo: rowsEnd };
    const last = await this.#reader.comparePage(collection, { documents: [], range });
    await this.#save(collection, last, undefined);
    const keys = await findWithoutDocument(this.sql, this.#reader, collection);
    failpoint("live.rest_read");
    for (let at = 0; at < keys.length; at += keysAtOnce) {
      this.#checkSignal();
      const comparison = await this.#reader.compareKeys(collection, keys.slice(at, at + keysAtOnce));
      await this.#save(collection, comparison, undefined);
    }
    checkpoint.isDone = true;
    await this.#save(collection, new LiveComparison(), checkpoint);
    failpoint("live.collection_done");
  }

  async #save(
    collection: Collection,
    comparison: LiveComparison,
    checkpoint: LiveCheckpoint | undefined,
  ): Promise<void> {
    const position = comparison.differing.length > 0 ? await this.#reader.position() : 0n;
    await saveComparison(this.sql, this.verification.id, collection, comparison, { position, checkpoint });
  }

  /** Compares documents again until each is equal, different or changes all the time. */
  async #compareAgain(): Promise<void> {
    const { sql, source, verification: { id }, options: { limits = waitLimits } } = this;
    const watch = new SyncWatch(sql, source, limits);
    while (await countUndecided(sql, id) > 0) {
      this.#checkSignal();
      let compared = 0;
      for (const collection of collections) compared += await this.#compareDue(collection);
      if (compared > 0) watch.reset();
      else await watch.wait();
    }
    failpoint("live.decided");
  }

  async #compareDue(collection: Collection): Promise<number> {
    const { sql, verification: { id }, follow: { isPolled } } = this;
    const compared = await listDue(sql, id, collection, isPolled);
    if (compared.length === 0) return 0;
    failpoint("live.due_listed");
    const { differing } = await this.#reader.compareKeys(collection, compared.map(({ key }) => key));
    const position = await this.#reader.position();
    await saveRechecks(sql, id, collection, { compared, differing, position });
    return compared.length;
  }
}

/**
 * Verifies a followed source while it changes, and stores the result. Continues after the last checkpoint of an
 * interrupted run.
 *
 * @throws AppError not_found, conflict, source_changed: see requireFollowed(); busy when the sync does not move;
 * schema_mismatch, interrupted
 */
export async function verifyLive(
  pool: Pool,
  source: FollowedMongo,
  options: LiveOptions,
): Promise<LiveVerdict> {
  await requireWritableServer(pool);
  await requireSchema(pool);
  const { fingerprint, mode } = await requireFollowed(pool, source);
  failpoint("live.checked");
  const sql = await pool.reserve();
  try {
    const work = async () => {
      const verification = await openLiveVerification(sql, fingerprint, options.again ?? false);
      const follow = { fingerprint, isPolled: mode === "poll" };
      return await new LiveVerifier(sql, source, verification, follow, options).run();
    };
    return await Promise.race([work(), rejectWhenLost(sql)]);
  } catch (error) {
    throw source.toAppError(error, "verifying");
  } finally {
    options.progress.end();
    sql.release();
  }
}
