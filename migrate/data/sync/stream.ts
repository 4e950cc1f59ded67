/** Applies changes as they come, batch by batch, while the next one is read. */
import type { ChangeBatch } from "../sources/change_stream.ts";
import { failpoint } from "../tools/failpoint.ts";
import { type DocumentStates, toStates } from "./apply.ts";
import { listQuarantined, listWaiting, type WaitingRow } from "./entries.ts";
import { mapDocuments } from "./mapping.ts";
import { positionMs } from "../sources/positions.ts";
import { clockPosition, Poll } from "./poll.ts";
import { type Part, readParts } from "./reading.ts";
import { type SyncContext, SyncSession } from "./session.ts";
import { findFollow, type Follow, type Progress, saveProgress } from "./state.ts";

/** Source of changes. */
interface Changes {
  next(): Promise<ChangeBatch>;
  close(): Promise<void>;
}

/** A batch with its first documents. */
interface ReadBatch {
  batch: ChangeBatch;
  parts: AsyncGenerator<Part>;
  first: Part;
}

/** What a batch tells about the progress of the sync. */
export interface BatchReport {
  events: number;
  documents: number;
  /** Milliseconds from reading the batch to its commit. */
  durationMs: number;
  position: bigint;
  sourcePosition: bigint;
  /** The batch was read completely and held everything that the source had. */
  isCaughtUp: boolean;
}

/** Returns how far a batch's position is behind the source, in milliseconds. */
export const lagOf = (
  { position, sourcePosition, isCaughtUp }: Pick<BatchReport, "position" | "sourcePosition" | "isCaughtUp">,
): number => isCaughtUp ? 0 : Math.max(0, positionMs(sourcePosition) - positionMs(position));

const isCaughtUp = ({ events, position, sourcePosition }: ChangeBatch): boolean =>
  position >= sourcePosition || events === 0;

/** Pause after all waiting documents have been retried, in milliseconds. */
const retryMs = 30_000;
/** Batches without events store the position at most this often. A cut-over waits for it. */
const idleSaveMs = 200;

async function openChanges({ source }: SyncContext, follow: Follow): Promise<Changes> {
  if (follow.mode === "poll") {
    return new Poll(source, follow.position === null ? await clockPosition(source) : BigInt(follow.position));
  }
  return await source.openStream(
    follow.resume_token === null ? { position: BigInt(follow.position!) } : { token: follow.resume_token },
  );
}

/** Applies the changes of one open stream. */
class StreamWorker {
  #lastSaved = 0;
  #nextRetry = 0;
  #retryAfter: WaitingRow | undefined;

  constructor(
    readonly context: SyncContext,
    readonly session: SyncSession,
    readonly changes: Changes,
    readonly onBatch: (report: BatchReport) => void,
  ) {}

  async run(isDone: () => boolean): Promise<void> {
    let next = this.#read();
    while (true) {
      const { batch, parts, first } = await next;
      const started = performance.now();
      // A further part is read from the same connection, so the next batch must wait for it.
      if (first.isLast) next = this.#read();
      next.catch(() => {});
      const documents = await this.#apply(batch, first, parts);
      if (!first.isLast) next = this.#read();
      next.catch(() => {});
      const { events, position, sourcePosition } = batch;
      const durationMs = performance.now() - started;
      const report = {
        events,
        documents,
        durationMs,
        position,
        sourcePosition,
        isCaughtUp: isCaughtUp(batch),
      };
      this.onBatch(report);
      if (report.isCaughtUp && Date.now() >= this.#nextRetry) await this.#retryWaiting();
      if (isDone()) break;
    }
    await next.catch(() => {});
  }

  async #read(): Promise<ReadBatch> {
    const batch = await this.changes.next();
    failpoint("stream.events_read");
    const parts = readParts(this.context.source, batch.keys);
    const { value: first } = await parts.next();
    return { batch, parts, first: first! };
  }

  /** Applies a batch. Its position is stored with its last part. */
  async #apply(batch: ChangeBatch, first: Part, parts: AsyncGenerator<Part>): Promise<number> {
    if (batch.events === 0 && Date.now() < this.#lastSaved + idleSaveMs) return 0;
    let documents = 0;
    for (let part = first;;) {
      const { events, token, position, sourcePosition } = batch;
      documents += part.states.reduce((sum, { found, missing }) => sum + found.length + missing.length, 0);
      const lagMs = lagOf({ position, sourcePosition, isCaughtUp: isCaughtUp(batch) });
      const progress = { token, position, lagMs, events, documents };
      await this.#applyStates(part.states, part.isLast ? progress : undefined);
      failpoint("sync.part_applied");
      if (part.isLast) break;
      part = (await parts.next()).value!;
    }
    this.#lastSaved = Date.now();
    return documents;
  }

  #applyStates(states: DocumentStates[], progress: Progress | undefined): Promise<void> {
    const { session, context } = this;
    return session.guard(session.applier.apply(
      states,
      (sql) => context.lease.check(sql),
      async (sql) => {
        if (progress) await saveProgress(sql, progress);
      },
    ));
  }

  /**
   * Tries the quarantined documents again: a newer version of this program may take them. Those that are rejected as
   * before keep their entries.
   */
  async retryQuarantined(): Promise<void> {
    const { session, context } = this;
    let after: WaitingRow | undefined;
    while (true) {
      const rows = await session.guard(listQuarantined(session.sql, context.fingerprint, after));
      if (rows.length === 0) return;
      const states = toStates(rows).map(({ collection, found, missing }) => {
        const { rejected } = mapDocuments(collection, found, (name) => session.applier.parents.find(name));
        const rejects = new Set(rejected.map(({ raw }) => raw));
        return { collection, found: found.filter(({ raw }) => !rejects.has(raw)), missing };
      });
      if (states.some(({ found }) => found.length > 0)) await this.#applyStates(states, undefined);
      after = rows.at(-1);
    }
  }

  /** Retries a part of all waiting documents, in turn, for what no batch has told. */
  async #retryWaiting(): Promise<void> {
    const waiting = await this.session.guard(listWaiting(this.session.sql, this.#retryAfter));
    if (waiting.length > 0) await this.#applyStates(toStates(waiting), undefined);
    failpoint("sync.retried");
    this.#retryAfter = waiting.at(-1);
    if (this.#retryAfter === undefined) this.#nextRetry = Date.now() + retryMs;
  }
}

/**
 * Applies changes from the stored position until `isDone`.
 *
 * @throws AppError source_changed, busy; errors of both databases, after which the same call continues
 */
export async function applyChanges(
  context: SyncContext,
  { retriesQuarantine, onBatch, isDone }: {
    /** Whether quarantined documents are tried again first. */
    retriesQuarantine: boolean;
    onBatch: (report: BatchReport) => void;
    isDone: () => boolean;
  },
): Promise<void> {
  const follow = (await findFollow(context.pool))!;
  await using session = await SyncSession.open(context);
  const changes = await openChanges(context, follow);
  failpoint("stream.opened");
  try {
    const worker = new StreamWorker(context, session, changes, onBatch);
    if (retriesQuarantine) await worker.retryQuarantined();
    await worker.run(isDone);
  } finally {
    await changes.close();
  }
}
