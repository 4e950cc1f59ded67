/** The attempts that run in this worker: started into slots, dropped, or handed over. */
import { type Claimed, type Held, type Queue } from "../../db/queue/subtasks.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import { type AttemptDeps, type AttemptEnd, runAttempt, type Stops } from "./attempt.ts";
import { Claims } from "./claims.ts";
import { Slots } from "../slots/slots.ts";

interface Running {
  subtask: Claimed;
  drop: AbortController;
  handOver: AbortController;
  ended: Promise<void>;
}

export interface CrewOptions {
  queues: readonly Queue[];
  attempt: AttemptDeps;
  log: Log;
  metrics: Metrics;
  /** Told of each end, after its slot is free. */
  onEnd: () => void;
}

export class Crew {
  readonly slots: Map<Queue, Slots>;
  /** Leases handed over whose POST was never sent. */
  readonly unsent = new Set<string>();
  readonly claims = new Claims();
  readonly #running = new Map<string, Running>();
  readonly #options: CrewOptions;
  #leaving = false;

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

  /**
   * Runs a claimed subtask; its slot was taken before the claim.
   *
   * @returns false once everything is being handed over: nothing was begun, the lease is to be given back
   */
  start(subtask: Claimed, slots: Slots, claimedAt: number): boolean {
    if (this.#leaving) {
      if (subtask.remote_id === null) this.unsent.add(subtask.lease_id);
      return false;
    }
    const drop = new AbortController();
    const handOver = new AbortController();
    const { promise: ended, resolve } = Promise.withResolvers<void>();
    this.#running.set(subtask.lease_id, { subtask, drop, handOver, ended });
    void this.#run(subtask, { drop: drop.signal, handOver: handOver.signal }, claimedAt).finally(() => {
      this.#running.delete(subtask.lease_id);
      slots.give();
      resolve();
      this.#options.onEnd();
    });
    return true;
  }

  async #run(subtask: Claimed, stops: Stops, claimedAt: number): Promise<void> {
    const { attempt, log } = this.#options;
    try {
      const end: AttemptEnd = await runAttempt(subtask, attempt, stops, claimedAt);
      if (end.kind === "handed_over" && end.unsent) this.unsent.add(subtask.lease_id);
    } catch (error) {
      // The lease stays in the rows without anybody here who works on it: the next heartbeat gives it back.
      log.error("subtask broke off", { task_id: subtask.task_id, cell: subtask.cell }, error);
    }
  }

  #dropWhere(choose: (subtask: Claimed) => boolean): number {
    let dropped = 0;
    for (const { subtask, drop } of this.#running.values()) {
      if (drop.signal.aborted || !choose(subtask)) continue;
      drop.abort();
      dropped++;
    }
    return dropped;
  }

  /** Aborts what runs of a cancelled task. */
  dropTask(taskId: string): number {
    return this.#dropWhere(({ task_id }) => task_id === taskId);
  }

  /** Aborts what the rows no longer give us. */
  dropExcept(held: Set<string>, known: Set<string>): number {
    return this.#dropWhere(({ lease_id }) => known.has(lease_id) && !held.has(lease_id));
  }

  dropAll(): number {
    return this.#dropWhere(() => true);
  }

  leases(): Set<string> {
    return new Set(this.#running.keys());
  }

  /** Leases without anybody here who works on them. */
  strangers(held: Held[]): Held[] {
    return held.filter(({ lease_id }) => !this.#running.has(lease_id));
  }

  /**
   * Stops all attempts where their remote jobs can be taken over, and begins no other; waits `graceMs` for POSTs under
   * way.
   */
  async handOverAll(graceMs: number): Promise<void> {
    this.#leaving = true;
    const all = [...this.#running.values()];
    for (const { handOver } of all) handOver.abort();
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, graceMs);
    await Promise.race([Promise.all(all.map(({ ended }) => ended)), late]);
    clearTimeout(timer);
    this.dropAll();
  }
}
