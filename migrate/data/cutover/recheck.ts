/**
 * Compares every document that changed since the last full verification with its row. Most of them are compared before
 * the writes are held; during the hold only the last ones are left.
 */
import type postgres from "postgres";
import { rejectWhenLost } from "../../../db/pg/reserve.ts";
import { AppError } from "../../../errors.ts";
import { counted } from "../../../phrases.ts";
import type { Collection } from "../documents/source.ts";
import { collections } from "../documents/source.ts";
import type { ChangeBatch, ChangeStream } from "../sources/change_stream.ts";
import { isPositionLost } from "../sources/mongo_errors.ts";
import { toPosition } from "../sources/positions.ts";
import { failpoint } from "../tools/failpoint.ts";
import { LiveReader } from "../verify/live_reader.ts";
import type { SwitchContext } from "./context.ts";

const keysAtOnce = 500;
/** Clocks may differ by a second, and times are rounded to one. */
const marginSeconds = 3;

/** A document that differs from its row. */
export interface DifferentDocument {
  collection: Collection;
  documentId: string;
}

type Keys = Map<Collection, Map<string, Uint8Array>>;

const countKeys = (keys: Keys): number => [...keys.values()].reduce((sum, { size }) => sum + size, 0);

export class Recheck implements AsyncDisposable {
  readonly #keys: Keys = new Map(collections.map((collection) => [collection, new Map()]));
  readonly #reader: LiveReader;
  #position = 0n;
  /** Documents that were compared. */
  compared = 0;

  private constructor(
    readonly context: SwitchContext,
    readonly sql: postgres.ReservedSql,
    readonly stream: ChangeStream,
    fingerprint: string,
  ) {
    this.#reader = new LiveReader(sql, context.source, fingerprint, false);
  }

  /**
   * Begins to read what has changed.
   *
   * @param sinceSeconds start of the last full verification, in seconds since 1970
   * @throws AppError conflict when the oplog does not reach back so far
   */
  static async open(context: SwitchContext, fingerprint: string, sinceSeconds: number): Promise<Recheck> {
    const position = toPosition({ t: Math.floor(sinceSeconds) - marginSeconds, i: 1 });
    const sql = await context.pool.reserve();
    try {
      const stream = await context.source.openStream({ position });
      return new Recheck(context, sql, stream, fingerprint);
    } catch (error) {
      sql.release();
      if (!isPositionLost(error)) throw context.source.toAppError(error, "reading the changes of");
      throw new AppError(
        "conflict",
        "comparing what changed since the last verification: the oplog does not reach back to it; run " +
          "'deno task migrate data verify --live --again --from mongodb', then try again",
      );
    }
  }

  /** Reads the keys of changed documents up to now, or up to a position, and compares what it has. */
  async catchUp(until?: bigint): Promise<DifferentDocument[]> {
    let isDone = false;
    while (!isDone) {
      const batch = await this.stream.next();
      this.#add(batch);
      this.#position = batch.position;
      isDone = until === undefined
        ? batch.events === 0 || batch.position >= batch.sourcePosition
        : batch.position >= until;
      if (countKeys(this.#keys) >= keysAtOnce * 4) await this.#compare();
      this.context.signal.throwIfAborted();
    }
    return await this.#compare();
  }

  /** Compares the documents again that differed in the latest comparison. */
  async compareAgain(): Promise<DifferentDocument[]> {
    return await this.#compare();
  }

  #add({ keys }: ChangeBatch): void {
    for (const [collection, changed] of keys) {
      const known = this.#keys.get(collection)!;
      for (const [tag, key] of changed) known.set(tag, key);
    }
  }

  /** Compares the documents. Those that differ are kept, since their changes may not be applied yet. */
  async #compare(): Promise<DifferentDocument[]> {
    const different: DifferentDocument[] = [];
    for (const collection of collections) {
      const known = [...this.#keys.get(collection)!];
      for (let at = 0; at < known.length; at += keysAtOnce) {
        const part = known.slice(at, at + keysAtOnce);
        const compared = await this.#compareKeys(collection, part.map(([, key]) => key));
        const keep = new Set(compared.map(({ key }) => key.toBase64()));
        for (const [tag, key] of part) {
          if (!keep.has(key.toBase64())) this.#keys.get(collection)!.delete(tag);
        }
        different.push(...compared.map(({ documentId }) => ({ collection, documentId })));
      }
    }
    failpoint("recheck.compared");
    return different;
  }

  async #compareKeys(collection: Collection, keys: Uint8Array[]) {
    const { differing } = await Promise.race([
      rejectWhenLost(this.sql),
      this.#reader.compareKeys(collection, keys),
    ]);
    this.compared += keys.length;
    return differing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stream.close();
    this.sql.release();
  }
}

/** @throws AppError differences_found */
export function requireEqual(different: readonly DifferentDocument[]): void {
  if (different.length === 0) return;
  const names = different.slice(0, 3).map(({ collection, documentId }) => `${collection} ${documentId}`);
  throw new AppError(
    "differences_found",
    `comparing what changed since the last verification: ${
      counted(different.length, "document")
    } differ, such as ` +
      `${names.join(", ")}; run 'deno task migrate data verify --live --from mongodb', then 'why ID'`,
  );
}
