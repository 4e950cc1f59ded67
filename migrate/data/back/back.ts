/** The way back: writes what this system changed to MongoDB, until it is stopped or, with `once`, until nothing is left. */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { refuseWhenLost, rejectWhenLost } from "../../../db/pg/reserve.ts";
import { AppError } from "../../../errors.ts";
import { isPassing } from "../../../passing.ts";
import { counted } from "../../../phrases.ts";
import { isPassingMongo } from "../sources/mongo_errors.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";
import type { Lease } from "../sync/lease.ts";
import { failpoint } from "../tools/failpoint.ts";
import { wait } from "../../../wait.ts";
import { BackApplier, rowName } from "./apply.ts";
import { type Change, listChanges } from "./changes.ts";
import { endBack, isBackEnded, startBack } from "./state.ts";
import { type RefusedRow, Writer } from "./writer.ts";

/** Changes in one batch. */
const changesAtOnce = 2000;
/** Interval at which new changes are looked for. */
const idleMs = 100;
/** Waits between attempts after a failure that passes. */
const retryMsMin = 200;
const retryMsMax = 5000;
/** Time for which `once` waits for a database that does not answer. */
const onceMs = 60_000;
/** Waits between attempts at a row that MongoDB refuses. */
const refusedMsMin = 500;
const refusedMsMax = 60_000;
/** Rows that MongoDB may refuse before the way back stops. */
const refusedMax = 1000;
/** Time after which the server ends a session that stands still in a transaction. */
const idleInTransactionMs = 15_000;

/** What a batch did, for reports. */
export interface BatchReport {
  changes: number;
  documents: number;
  /** Age of the oldest change of the batch when it was read. */
  lagMs: number;
  refused: readonly RefusedRow[];
}

export interface BackOptions {
  /** Ends when all changes up to now are written. */
  once: boolean;
  onBatch: (report: BatchReport) => void;
  /** Receives notes for the operator. */
  onNote: (note: string) => void;
  /** Aborted by SIGINT and SIGTERM: ends after the current batch. */
  signal: AbortSignal;
}

export interface BackContext {
  pool: Pool;
  source: FollowedMongo;
  lease: Lease;
}

/** A row that MongoDB refused. Its changes stay. */
interface Refused extends RefusedRow {
  numbers: number[];
  retryAt: number;
  waitMs: number;
  attempts: number;
}

class Back {
  /** The reserved connection, and the same one with statements that fail when it is lost. */
  #session: { own: postgres.ReservedSql; sql: postgres.ReservedSql } | undefined;
  #writer: Writer | undefined;
  #retryMs = retryMsMin;
  #failingSince: number | undefined;
  readonly #refused = new Map<string, Refused>();

  constructor(readonly context: BackContext, readonly options: BackOptions) {}

  async run(): Promise<RefusedRow[]> {
    const { pool, source } = this.context;
    const { signal } = this.options;
    await startBack(pool, source.identity);
    failpoint("back.started");
    try {
      while (!signal.aborted) {
        try {
          if (await this.#step()) break;
        } catch (error) {
          await this.#handle(error);
        }
      }
      await endBack(pool, null);
      failpoint("back.ended");
      return [...this.#refused.values()].map(({ collection, key, reason }) => ({ collection, key, reason }));
    } catch (error) {
      // A rollback takes the lease once MongoDB has every change.
      if (error instanceof AppError && error.code === "busy" && await isBackEnded(pool)) return [];
      if (error instanceof AppError && error.code !== "busy") {
        await endBack(pool, error.message).catch(() => {});
      }
      throw error;
    } finally {
      await this.#close();
    }
  }

  /** Applies one batch. Returns true when `once` is done. */
  async #step(): Promise<boolean> {
    const { lease } = this.context;
    const { once, onBatch, signal } = this.options;
    const { own, sql } = await this.#open();
    const guard = <T>(work: Promise<T>) => Promise.race([rejectWhenLost(own), work]);
    const changes = await guard(listChanges(sql, this.#postponed(), changesAtOnce));
    failpoint("back.changes_read");
    if (changes.length === 0) {
      this.#succeed();
      if (once && this.#isDone()) {
        failpoint("back.caught_up");
        return true;
      }
      await guard(lease.check(sql));
      await wait(idleMs, signal);
      return false;
    }
    const applier = new BackApplier(sql, this.#writer!, (session) => lease.check(session));
    const { documents, refused, changes: done } = await guard(applier.apply(changes));
    this.#succeed();
    this.#keepRefused(changes, refused);
    onBatch({ changes: done, documents, refused, lagMs: changes[0]!.age });
    return false;
  }

  async #open(): Promise<{ own: postgres.ReservedSql; sql: postgres.ReservedSql }> {
    if (this.#session) return this.#session;
    const { pool, source, lease } = this.context;
    const own = await pool.reserve();
    const session = { own, sql: refuseWhenLost(own) };
    this.#session = session;
    await Promise.race([
      rejectWhenLost(own),
      own`
        select set_config('contactsheet.capture', 'off', false),
          set_config('idle_in_transaction_session_timeout', ${String(idleInTransactionMs)}, false)`,
    ]);
    this.#writer ??= new Writer(source, lease.term);
    failpoint("back.session_opened");
    return session;
  }

  #closeSession(): void {
    this.#session?.own.release();
    this.#session = undefined;
  }

  async #close(): Promise<void> {
    this.#closeSession();
    await this.#writer?.[Symbol.asyncDispose]();
  }

  #succeed(): void {
    this.#retryMs = retryMsMin;
    this.#failingSince = undefined;
  }

  /** Numbers of changes whose rows are not tried yet again. */
  #postponed(): number[] {
    const now = Date.now();
    return [...this.#refused.values()].flatMap(({ retryAt, numbers }) => retryAt > now ? numbers : []);
  }

  /** True when every refused row was tried again in vain. */
  #isDone(): boolean {
    return [...this.#refused.values()].every(({ attempts }) => attempts > 1);
  }

  /**
   * Remembers refused rows, and forgets those that were written now.
   *
   * @throws AppError documents_refused
   */
  #keepRefused(changes: readonly Change[], refused: readonly RefusedRow[]): void {
    const before = new Map(this.#refused);
    for (const { collection, key } of changes) this.#refused.delete(rowName(collection, key));
    for (const row of refused) {
      const name = rowName(row.collection, row.key);
      const waitMs = Math.min(refusedMsMax, (before.get(name)?.waitMs ?? refusedMsMin / 2) * 2);
      const numbers = changes.filter((change) => rowName(change.collection, change.key) === name).map((
        change,
      ) => change.number);
      this.#refused.set(name, {
        collection: row.collection,
        key: row.key,
        reason: row.reason,
        numbers: [...new Set([...before.get(name)?.numbers ?? [], ...numbers])],
        waitMs,
        retryAt: Date.now() + waitMs,
        attempts: (before.get(name)?.attempts ?? 0) + 1,
      });
      if (!before.has(name)) {
        this.options.onNote(
          `MongoDB refuses the document of row ${name}, which is tried again: ${row.reason}`,
        );
      }
    }
    if (refused.length > 0) failpoint("back.refused_kept");
    if (this.#refused.size <= refusedMax) return;
    throw new AppError(
      "documents_refused",
      `back: MongoDB refuses ${counted(this.#refused.size, "document")}; the last reason: ${
        refused.at(-1)?.reason
      }`,
    );
  }

  /** @throws errors that do not pass */
  async #handle(error: unknown): Promise<void> {
    const { source, lease } = this.context;
    const { onNote, signal, once } = this.options;
    // A statement may still be under way there.
    this.#closeSession();
    if (error instanceof AppError) {
      // A lease that only expired, because PostgreSQL was away or this process stood still, goes on.
      if (error.code !== "busy" || !await lease.renew().catch(() => false)) throw error;
      return;
    }
    if (!isPassingMongo(error) && !isPassing(error) && !isUnconfirmed(error)) {
      throw source.toAppError(error, "writing back to");
    }
    this.#failingSince ??= Date.now();
    if (once && Date.now() - this.#failingSince > onceMs) throw source.toAppError(error, "writing back to");
    onNote(`${(error as Error).message}; trying again in ${this.#retryMs} ms`);
    await wait(this.#retryMs, signal);
    this.#retryMs = Math.min(retryMsMax, this.#retryMs * 2);
    await lease.renew().catch(() => {});
  }
}

// The members did not confirm in time, or too few of them are there; the time for an answer is over.
const unconfirmedCodes = new Set<unknown>([50, 64, 79, 100, 112]);

/** Reports whether the server did not say in time whether a command has lasted. The same command can be repeated. */
const isUnconfirmed = (error: unknown): boolean => {
  const { name, code } = error as { name?: string; code?: unknown };
  return name === "MongoOperationTimeoutError" || name === "MongoWriteConcernError" ||
    unconfirmedCodes.has(code);
};

/**
 * Writes changes back until the signal is aborted, or once.
 *
 * @returns rows whose documents MongoDB refuses; their changes are kept
 * @throws AppError busy, conflict, database_refused, documents_refused; database_unreachable only with `once`
 */
export const writeBack = (context: BackContext, options: BackOptions): Promise<RefusedRow[]> =>
  new Back(context, options).run();
