/**
 * The way back to the old backend: hold → stop → drain → unblock → return. The return is one transaction; before it
 * this system is in charge, after it the old backend is, and the forward sync may go on.
 */
import { wait } from "../../../wait.ts";
import type { Pool, Sql } from "../../../db/pg/connect.ts";
import { transact } from "../../../db/pg/transaction.ts";
import { setFence } from "../../../db/traffic/fence.ts";
import { changeTraffic, readTraffic } from "../../../db/traffic/traffic.ts";
import { AppError } from "../../../errors.ts";
import { isLockTimeout } from "../../../passing.ts";
import { counted } from "../../../phrases.ts";
import { countChanges } from "../back/capture.ts";
import { isWriteBlocked, setWriteBlock } from "../sources/write_block.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { SwitchContext } from "./context.ts";
import { askProxy, pointProxy } from "./freeze.ts";
import { Hold } from "./hold.ts";
import {
  addDetail,
  beginCutover,
  endCutover,
  endStep,
  findRunningCutover,
  unfinishedError,
} from "./journal.ts";
import type { SwitchOptions } from "./options.ts";
import { requireRollbackReady } from "./rollback_gate.ts";
import { Steps } from "./steps.ts";
import { stopWork } from "./stop_work.ts";
import { explainLock, lockHold, takeLease } from "./switch.ts";
import { isSwitched, undo } from "./undo.ts";

const lookMs = 20;
const lockMs = 500;
const attemptsMax = 3;

/** What stays in PostgreSQL only, because a document has no place for it. */
export interface Remaining {
  ratings: number;
  votes: number;
  evaluations: number;
  shares: number;
}

export interface RollbackResult {
  id: number;
  pause_ms: number;
  steps: Record<string, number>;
  remaining: Remaining;
  /** Cells whose drawing was stopped; the old executor draws them again. */
  cells_stopped: number;
  next_command: string;
}

/** Counts what stays in PostgreSQL only. It is there again after the next cut-over. */
export async function countRemaining(sql: Sql): Promise<Remaining> {
  const [row] = await sql<Remaining[]>`
    select (select count(*) from ratings)::float8 as ratings, (select count(*) from votes)::float8 as votes,
      (select count(*) from evaluations)::float8 as evaluations, (select count(*) from shares)::float8 as shares`;
  return row!;
}

async function returnOnce(
  pool: Pool,
  { id, step, version, position, by }: {
    id: number;
    step: number;
    version: number;
    position: bigint;
    by: string;
  },
): Promise<void> {
  await transact(pool, async (sql) => {
    await lockHold(sql, version);
    await takeLease(sql, "back", `rollback ${id}`);
    // No worker and no route writes from here on.
    await sql`lock table users, tasks, subtasks in share mode`;
    const changes = await countChanges(sql);
    if (changes > 0) {
      throw new AppError("conflict", `going back: ${counted(changes, "change")} not written to MongoDB yet`);
    }
    failpoint("return.drained");
    await sql`call migration.set_capture(false)`;
    // Refuses later writes of API processes and workers that were suspended.
    await setFence(sql, true);
    await sql`delete from migration.recounted_tasks`;
    await sql`update migration.backs set state = 'ended', stop_reason = null`;
    // The forward sync goes on from the position of the cut-over, so that it reads the documents that were written back
    // and the rows become what the old backend's documents say, also in columns that no document has.
    const [follow] = await sql`
      update migration.follows
      set state = 'following', stop_reason = null, applied_at = now(), behind_at = now()
      where state = 'ended' and position <= ${String(position)}::bigint
      returning 1`;
    if (!follow) {
      throw new AppError("conflict", "going back: the position of the cut-over is not known any more");
    }
    failpoint("return.follow_set");
    const change = {
      phase: "old" as const,
      share: 0,
      by,
      reason: `rollback ${id}`,
      forced: false,
      holdMs: null,
    };
    if (await changeTraffic(sql, version, change) === undefined) {
      throw new AppError("conflict", "going back: somebody changed the phase at the same moment");
    }
    await endStep(sql, id, step, "done", {});
    failpoint("return.before_commit");
  }, { lock_timeout: String(lockMs), synchronous_commit: "on" });
}

class Rollback {
  readonly #steps: Steps;
  #hold: Hold | undefined;
  #position = 0n;
  #cells = 0;
  #pauseMs = 0;

  constructor(readonly context: SwitchContext, readonly options: SwitchOptions, readonly id: number) {
    this.#steps = new Steps(context.pool, id, context.onNote);
  }

  async run(): Promise<RollbackResult> {
    const { context: { pool }, id } = this;
    try {
      await this.#beforeEnd();
    } catch (error) {
      this.#hold?.stopRenewing();
      if (!await isSwitched(pool, id)) {
        const explained = await explainLock(pool, "going back", error);
        await undo(this.context, { id }, "failed", (explained as Error).message);
        throw explained;
      }
    } finally {
      await this.#hold?.[Symbol.asyncDispose]();
    }
    await pointProxy(this.context, this.#steps, this.options.proxy, "old");
    if (this.options.proxy.way !== "front") this.#pauseMs = this.#hold!.elapsedMs;
    await endCutover(pool, id, "done", { pauseMs: this.#pauseMs });
    failpoint("rollback.ended");
    return {
      id,
      pause_ms: Math.round(this.#pauseMs),
      steps: Object.fromEntries([...this.#steps.durations].map(([step, ms]) => [step, Math.round(ms)])),
      remaining: await countRemaining(pool),
      cells_stopped: this.#cells,
      next_command: "deno task migrate data sync --from mongodb",
    };
  }

  #check(): void {
    if (this.context.signal.aborted) {
      throw new AppError("interrupted", "going back: stopped on request; everything is as before");
    }
    this.#hold?.check();
  }

  async #beforeEnd(): Promise<void> {
    const { context, options } = this;
    const { pool, source, by } = context;
    const traffic = await readTraffic(pool);
    const before = {
      phase: traffic.phase,
      share: traffic.share,
      version: traffic.version + 1,
      proxy: options.proxy,
    };
    await this.#steps.run("hold", before, async () => {
      const reason = `rollback ${this.id}`;
      this.#hold = await Hold.begin(pool, traffic, { by, reason, pauseMsMax: options.pauseMsMax });
      await askProxy(context, options.proxy, "hold");
      await this.#hold.waitInForce();
      return {};
    });
    await this.#steps.run("stop", {}, async ({ number }) => {
      const { tasks, cells } = await transact(pool, async (sql) => {
        const stopped = await stopWork(sql);
        await addDetail(sql, this.id, number, stopped);
        return stopped;
      }, { lock_timeout: String(lockMs) });
      this.#cells = cells;
      return { tasks, cells };
    });
    await this.#steps.run("drain_back", {}, () => this.#drain());
    const wasBlocked = await isWriteBlocked(source.client);
    // Writes of the old backend come later than this position, since it takes none yet.
    this.#position = await source.clusterPosition();
    await this.#steps.run(
      "unblock",
      { was_blocked: wasBlocked, position: String(this.#position) },
      async () => {
        if (wasBlocked) await setWriteBlock(source.client, false);
        this.#check();
        return {};
      },
    );
    await this.#steps.run("return", {}, async ({ number }) => {
      await this.#return(number);
      return {};
    });
    this.#pauseMs = this.#hold!.elapsedMs;
  }

  /** Waits until MongoDB has every change. */
  async #drain(): Promise<{ changes: number }> {
    while (true) {
      const changes = await countChanges(this.context.pool);
      if (changes === 0) return { changes };
      this.#check();
      await wait(lookMs);
    }
  }

  async #return(step: number): Promise<void> {
    this.#check();
    this.#hold!.stopRenewing();
    const { context: { pool, by }, id } = this;
    const request = { id, step, version: this.#hold!.version, position: this.#position, by };
    for (let attempt = 1;; attempt++) {
      try {
        await returnOnce(pool, request);
        failpoint("return.committed");
        return;
      } catch (error) {
        if (attempt === attemptsMax || !isLockTimeout(error)) throw error;
      }
    }
  }
}

/**
 * Puts the old backend back in charge.
 *
 * @throws AppError conflict (not ready, or something changed meanwhile), busy; everything is as before
 */
export async function rollBack(context: SwitchContext, options: SwitchOptions): Promise<RollbackResult> {
  if (await findRunningCutover(context.pool)) throw unfinishedError("going back");
  await requireRollbackReady(context, options);
  failpoint("rollback.gate_passed");
  const id = await beginCutover(context.pool, "rollback", context.by, options);
  failpoint("rollback.begun");
  return await new Rollback(context, options, id).run();
}
