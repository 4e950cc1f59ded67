/** A session with PostgreSQL that applies batches, and what all parts of a sync share. */
import type postgres from "postgres";
import type { Pool } from "../../../db/pg/connect.ts";
import { refuseWhenLost, rejectWhenLost } from "../../../db/pg/reserve.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { Progress } from "../tools/progress.ts";
import { Applier } from "./apply.ts";
import type { Lease } from "./lease.ts";
import { Parents } from "./parents.ts";
import { createStages } from "./stage.ts";

/** What a sync works with. */
export interface SyncContext {
  pool: Pool;
  source: FollowedMongo;
  lease: Lease;
  fingerprint: string;
  progress: Progress;
  /** Receives notes for the operator. */
  onNote: (note: string) => void;
  /** Aborted by SIGINT and SIGTERM: the sync stops after the current batch. */
  signal: AbortSignal;
}

/** Time after which the server ends a session that stands still in a transaction, and frees what it locks. */
const idleMsMax = 15_000;

/** A reserved connection with an applier. Disposal closes the connection. */
export class SyncSession implements AsyncDisposable {
  private constructor(
    readonly sql: postgres.ReservedSql,
    readonly applier: Applier,
    readonly lost: Promise<never>,
  ) {}

  static async open({ pool, fingerprint }: SyncContext): Promise<SyncSession> {
    const own = await pool.reserve();
    const lost = rejectWhenLost(own);
    const sql = refuseWhenLost(own);
    try {
      await Promise.race([lost, prepare(sql)]);
      failpoint("sync.session_opened");
      const parents = await Promise.race([lost, Parents.read(sql)]);
      failpoint("sync.parents_read");
      return new SyncSession(sql, new Applier(sql, fingerprint, parents), lost);
    } catch (error) {
      own.release();
      throw error;
    }
  }

  /** Settles like `work`, or rejects when the connection is lost, after which the driver answers nothing. */
  guard<T>(work: Promise<T>): Promise<T> {
    work.catch(() => {});
    return Promise.race([this.lost, work]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.sql.release();
    return Promise.resolve();
  }
}

async function prepare(sql: postgres.ReservedSql): Promise<void> {
  // A crash of the server may lose the last batches together with their position, and they are applied again.
  await sql`select set_config('synchronous_commit', 'off', false)`;
  await sql`select set_config('idle_in_transaction_session_timeout', ${String(idleMsMax)}, false)`;
  // The triggers that capture changes for the way back must not record what comes from the source.
  await sql`select set_config('contactsheet.capture', 'off', false)`;
  await createStages(sql);
}
