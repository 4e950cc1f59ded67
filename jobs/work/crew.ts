/** The running attempts of a worker. */
import { type ClaimedSubtask, type LeasedSubtask, type Queue } from "../../db/queue/subtasks.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import { type AttemptDeps, type AttemptEnd, runAttempt, type Stops } from "./attempt.ts";
import { Claims } from "./claims.ts";
import { Slots } from "../slots/slots.ts";

interface Running {
  subtask: ClaimedSubtask;
  drop: AbortController;
  handOver: AbortController;
  ended: Promise<void>;
}

export interface CrewOptions {
  queues: readonly Queue[];
  attempt: AttemptDeps;
  log: Log;
  metrics: Metrics;
  /** Called after each attempt, when its slot is free again. */
  onEnd: () => void;
}

/**
 * Starts, drops and hands over attempts.
 *
 * States of an attempt: running, dropped, handed over, ended. Moves: `start` makes it running; `dropTask`,
 * `dropExcept` and `dropAll` abort it; `handOverAll` lets a POST under way finish and stops everything else;
 * in each case it ends when its calls have returned, and its slot is free then. After `withdrawSlots`, claims
 * that were sent before it start nothing; after `handOverAll`, nothing starts.
 */
export class Crew {
  readonly slots: Map<Queue, Slots>;
  /** Leases that are handed over and whose POST was not sent. */
  readonly unsent = new Set<string>();
  readonly claims = new Claims();
  readonly #running = new Map<string, Running>();
  readonly #options: CrewOptions;
  #leaving = false;
  /** Time at which the slots were last withdrawn. */
  #withdrawnAt = -Infinity;

  constructor(options: CrewOptions) {
    this.#options = options;
    const { slotsBusy } = options.metrics;
    this.slots = new Map(options.queues.map((queue) => [
      queue,
      new Slots(0, (busy) => slotsBusy.set({ queue }, busy)),
    ]));
  }

  get size(): number {
    return this.#running.size;
  }

  has(lease: string): boolean {
    return this.#running.has(lease);
  }

  setSlots(queue: Queue, max: number): void {
    const slots = this.slots.get(queue);
    if (!slots || slots.max === max) return;
    slots.max = max;
    this.#options.metrics.slots.set({ queue }, max);
  }

  /** Sets all slots to zero: others may use them. So may those of claims that are under way. */
  withdrawSlots(): void {
    this.#withdrawnAt = performance.now();
    for (const queue of this.slots.keys()) this.setSlots(queue, 0);
  }

  /**
   * Starts a claimed subtask. Its slot was acquired before the claim.
   *
   * @returns false after `handOverAll`, and for a claim from before `withdrawSlots`; the caller must then release
   *   the lease
   */
  start(subtask: ClaimedSubtask, slots: Slots, claimedAt: number): boolean {
    if (this.#leaving) {
      if (subtask.remote_id === null) this.unsent.add(subtask.lease_id);
      return false;
    }
    if (claimedAt <= this.#withdrawnAt) return false;
    const drop = new AbortController();
    const handOver = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.#running.set(subtask.lease_id, { subtask, drop, handOver, ended });
    void this.#run(subtask, { drop: drop.signal, handOver: handOver.signal }, claimedAt).finally(() => {
      this.#running.delete(subtask.lease_id);
      slots.release();
      resolve();
      this.#options.onEnd();
    });
    return true;
  }

  async #run(subtask: ClaimedSubtask, stops: Stops, claimedAt: number): Promise<void> {
    const { attempt, log } = this.#options;
    try {
      const end: AttemptEnd = await runAttempt(subtask, attempt, stops, claimedAt);
      if (end.kind === "handed_over" && end.unsent) this.unsent.add(subtask.lease_id);
    } catch (error) {
      // The lease stays in the rows without an attempt. The next heartbeat releases it.
      log.error("attempt failed unexpectedly", { task_id: subtask.task_id, cell: subtask.cell }, error);
    }
  }

  #dropWhere(choose: (subtask: ClaimedSubtask) => boolean): number {
    let dropped = 0;
    for (const { subtask, drop } of this.#running.values()) {
      if (drop.signal.aborted || !choose(subtask)) continue;
      drop.abort();
      dropped++;
    }
    return dropped;
  }

  /** Aborts the attempts of a cancelled task. */
  dropTask(taskId: string): number {
    return this.#dropWhere(({ task_id }) => task_id === taskId);
  }

  /**
   * Aborts attempts whose lease is lost.
   *
   * @param held leases of this worker in the rows
   * @param known leases that were running before the rows were read; later ones are left alone
   */
  dropExcept(held: Set<string>, known: Set<string>): number {
    return this.#dropWhere(({ lease_id }) => known.has(lease_id) && !held.has(lease_id));
  }

  dropAll(): number {
    return this.#dropWhere(() => true);
  }

  leases(): Set<string> {
    return new Set(this.#running.keys());
  }

  /** Returns the leases without a running attempt. */
  unmatchedLeases(held: LeasedSubtask[]): LeasedSubtask[] {
    return held.filter(({ lease_id }) => !this.#running.has(lease_id));
  }

  /**
   * Stops all attempts so that other workers can take their remote jobs over, and starts no others.
   *
   * @param graceMs maximum wait for POSTs under way
   */
  async handOverAll(graceMs: number): Promise<void> {
    this.#leaving = true;
    const all = [...this.#running.values()];
    for (const { handOver } of all) handOver.abort();
    const { promise: timeout, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, graceMs);
    await Promise.race([Promise.all(all.map(({ ended }) => ended)), timeout]);
    clearTimeout(timer);
    this.dropAll();
  }
}
