/** A worker's membership in the fleet: its heartbeats, its slots, and its leases in the rows. */
import type { Pool } from "../../db/pg/connect.ts";
import { listLeases } from "../../db/queue/dispatch.ts";
import { type LeasedSubtask, type Queue, releaseSubtasks } from "../../db/queue/subtasks.ts";
import {
  acquireSlots,
  deleteWorker,
  insertWorker,
  saveHeartbeat,
  type SlotUsage,
} from "../../db/queue/workers.ts";
import { checkMs, heartbeatMs, postHeartbeatMsMax, startWithinMs } from "../../db/queue/times.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import { isLockTimeout } from "../../passing.ts";
import type { Crew } from "./crew.ts";
import { type Allotment, divideSlots } from "../slots/slot_division.ts";

export interface MemberDeps {
  sql: Pool;
  log: Log;
  metrics: Metrics;
  crew: Crew;
  queues: Queue[];
  /** Maximum slots of each queue in this worker, instead of an equal part of the fleet's. */
  slotsMax?: number;
  /** Returns the health counts of the image API by backend, as JSON text. */
  describeHealth?: () => string;
  /** Interval of the heartbeats. */
  heartbeatMs?: number;
}

/** Delays of the heartbeats after a claim whose outcome is unknown. */
const recheckMs = [300, 800, 1_500];
/**
 * Delay of the next heartbeat after slots changed, and while slots are missing; the latter ends after
 * `missingFor`.
 */
const beatSoonMs = { changed: 50, missing: 250, missingFor: 15_000 };

const nameWorker = (): string =>
  `${Deno.hostname()}-${Deno.pid}-${crypto.getRandomValues(new Uint8Array(4)).toHex()}`;

/** Number of heartbeats from one check to the next. */
const beatsPerCheck = checkMs / heartbeatMs;

/**
 * Keeps a worker in the fleet. Every second heartbeat is followed by a check, which divides the slots anew and
 * compares the running attempts with the leases in the rows.
 *
 * States: outside, steady, silent, left. Moves:
 * - `join` makes an outside worker steady.
 * - Without a heartbeat for `startWithinMs`, a steady worker becomes silent: it starts nothing. Soon after, its
 *   attempts send no POSTs either. Then others take over its jobs with a saved id, and its free slots. It keeps
 *   the leases of POSTs under way and saves the ids of their jobs.
 * - A heartbeat makes a silent worker steady again. It gives up all slots, drops the attempts that others took
 *   over, and acquires slots anew; a claim from before starts nothing.
 * - A heartbeat that finds no row (the fleet declared the worker dead) drops all attempts and joins under a
 *   new id.
 * - `leave` hands everything over; then nothing follows.
 */
export class Member {
  readonly #deps: MemberDeps;
  #id = nameWorker();
  /** Time at which the last successful heartbeat was sent. */
  #beatAt = -Infinity;
  #steadySince = Infinity;
  /** Leases in the rows without an attempt here, with the time at which each was first seen. */
  #unmatched = new Map<string, number>();
  #beating: Promise<void> | undefined;
  /** Whether a check must follow the next heartbeat. */
  #isCheckDue = false;
  #beats = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #recheckTimers: ReturnType<typeof setTimeout>[] = [];
  #stopped = false;
  #soonTimer: ReturnType<typeof setTimeout> | undefined;
  /** Slots that this worker holds in the rows, by queue. */
  #heldSlots: Record<string, number> = {};
  #missingSince: number | undefined;

  constructor(deps: MemberDeps) {
    this.#deps = deps;
  }

  get id(): string {
    return this.#id;
  }

  /** Whether this worker may start attempts: its last heartbeat is young enough. */
  get mayStart(): boolean {
    return !this.#stopped && performance.now() - this.#beatAt < startWithinMs;
  }

  /** Whether attempts may send POSTs: no other worker can have taken their subtasks over yet. */
  get mayPost(): boolean {
    return performance.now() - this.#beatAt < postHeartbeatMsMax;
  }

  /** Time in milliseconds for which all heartbeats succeeded. */
  get steadyMs(): number {
    return this.mayStart ? performance.now() - this.#steadySince : 0;
  }

  /** Signs in and starts the heartbeats. */
  async join(): Promise<void> {
    const { sql, queues } = this.#deps;
    await insertWorker(sql, { id: this.#id, host: Deno.hostname(), pid: Deno.pid, queues });
    await this.runOnce();
    this.#schedule();
  }

  /** @param tookMs length of the last heartbeat; a slow answer does not delay the next one */
  #schedule(tookMs = 0): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(async () => {
      const startedAt = performance.now();
      if (++this.#beats % beatsPerCheck === 0) this.#isCheckDue = true;
      await this.#beatOnce().catch((error) => {
        if (!this.mayStart) {
          this.#deps.log.warn("heartbeats fail: this worker starts nothing", { cause: String(error) });
        }
      });
      this.#schedule(performance.now() - startedAt);
    }, Math.max(0, (this.#deps.heartbeatMs ?? heartbeatMs) - tookMs));
  }

  /** Compares the leases several times soon: a claim failed, but PostgreSQL may have carried it out. */
  recheckLeases(): void {
    if (this.#recheckTimers.length > 0) return;
    this.#recheckTimers = recheckMs.map((ms, i) =>
      setTimeout(() => {
        void this.runOnce().catch(() => {});
        if (i === recheckMs.length - 1) this.#recheckTimers = [];
      }, ms)
    );
  }

  /** Sends the next heartbeat soon, because slots have changed. */
  beatSoon(ms = beatSoonMs.changed): void {
    if (this.#stopped) return;
    this.#soonTimer ??= setTimeout(async () => {
      this.#soonTimer = undefined;
      await this.#beating?.catch(() => {});
      if (!this.#stopped) await this.runOnce().catch(() => {});
    }, ms);
  }

  /** Handles the end of an attempt: returns its slot soon where this worker holds more than its part. */
  onEnd(): void {
    for (const [queue, { max }] of this.#deps.crew.slots) {
      if ((this.#heldSlots[queue] ?? 0) > max) this.beatSoon();
    }
  }

  /**
   * Sends one heartbeat, divides the slots and compares the leases. A call during another waits for that one.
   */
  runOnce(): Promise<void> {
    this.#isCheckDue = true;
    return this.#beatOnce();
  }

  #beatOnce(): Promise<void> {
    this.#beating ??= this.#beat().finally(() => this.#beating = undefined);
    return this.#beating;
  }

  async #beat(): Promise<void> {
    const { sql, crew, describeHealth = () => "{}" } = this.#deps;
    const sentAt = performance.now();
    const known = crew.leases();
    if (!await saveHeartbeat(sql, this.#id, describeHealth())) return await this.#rejoin();
    const wasSilent = !this.mayStart;
    if (wasSilent) {
      this.#steadySince = sentAt;
      this.#withdrawSlots();
      this.#isCheckDue = true;
    }
    this.#beatAt = sentAt;
    if (!this.#isCheckDue) return;
    // First the attempts that others have taken over, so that their slots are not acquired.
    await this.#compareLeases(known);
    await this.#divideSlots();
    this.#isCheckDue = false;
  }

  /** Gives all slots up: others may use them. */
  #withdrawSlots(): void {
    this.#deps.crew.withdrawSlots();
    this.#heldSlots = {};
  }

  /** Acquires this worker's part of the slots, as far as it is free, and returns slots beyond it. */
  async #divideSlots(): Promise<void> {
    const { sql, crew, queues, slotsMax, log } = this.#deps;
    if (this.#stopped) return;
    let allotments = new Map<Queue, Allotment>();
    const decide = (usage: SlotUsage[]) => {
      const busy = (queue: Queue) => crew.slots.get(queue)?.busy ?? 0;
      allotments = divideSlots(usage, { queues, busy, ...(slotsMax === undefined ? {} : { slotsMax }) });
      const held: Record<string, number> = {};
      for (const [queue, { slots }] of allotments) {
        // A slot must be out of use here before the rows show it as free.
        if (slots < (crew.slots.get(queue)?.max ?? 0)) crew.setSlots(queue, slots);
        held[queue] = Math.max(slots, busy(queue));
      }
      return held;
    };
    try {
      this.#heldSlots = await acquireSlots(sql, this.#id, decide);
    } catch (error) {
      if (!isLockTimeout(error)) throw error;
      log.warn("the rows of the slots are locked: this worker keeps its slots", { worker: this.#id });
      return;
    }
    if (this.#stopped) return;
    for (const [queue, { slots }] of allotments) crew.setSlots(queue, slots);
    const areMissing = [...allotments.values()].some(({ slots, target }) => slots < target);
    this.#missingSince = areMissing ? this.#missingSince ?? performance.now() : undefined;
    if (areMissing && performance.now() - this.#missingSince! < beatSoonMs.missingFor) {
      this.beatSoon(beatSoonMs.missing);
    }
  }

  /** Aborts attempts whose lease is lost, and releases leases without an attempt. */
  async #compareLeases(known: Set<string>): Promise<void> {
    const { sql, crew, log } = this.#deps;
    const held = await listLeases(sql, this.#id);
    const seenAt = performance.now();
    const dropped = crew.dropExcept(new Set(held.map(({ lease_id }) => lease_id)), known);
    if (dropped > 0) log.info("attempts dropped: their leases are lost", { subtasks: dropped });
    const unmatched = crew.unmatchedLeases(held);
    // A claim or a settlement may be under way. A lease is released when two heartbeats found it without an
    // attempt, and every claim from before the first of them has been answered.
    const abandoned = unmatched.filter(({ lease_id }) => {
      const firstAt = this.#unmatched.get(lease_id);
      return firstAt !== undefined && !crew.claims.hasPendingClaimBefore(firstAt);
    });
    const before = this.#unmatched;
    this.#unmatched = new Map(unmatched.map(({ lease_id }) => [lease_id, before.get(lease_id) ?? seenAt]));
    if (abandoned.length > 0) {
      await this.#release(abandoned, new Set());
      log.warn("leases without an attempt released", { subtasks: abandoned.length });
    }
  }

  /** @returns the number of leases that this worker still held */
  async #release(held: LeasedSubtask[], unsent: Set<string>): Promise<number> {
    const { released, unsaved } = await releaseSubtasks(this.#deps.sql, held, unsent);
    this.#deps.metrics.unsavedPosts.inc(unsaved);
    return released;
  }

  /** Joins under a new id after the fleet declared this worker dead and released its leases and slots. */
  async #rejoin(): Promise<void> {
    const { sql, crew, queues, log } = this.#deps;
    const dropped = crew.dropAll();
    this.#withdrawSlots();
    const before = this.#id;
    this.#id = nameWorker();
    await insertWorker(sql, { id: this.#id, host: Deno.hostname(), pid: Deno.pid, queues });
    log.warn("this worker was declared dead and joins under a new id", {
      before,
      worker: this.#id,
      subtasks: dropped,
    });
    this.beatSoon();
  }

  /**
   * Hands everything over and signs out.
   *
   * @param graceMs maximum wait for POSTs under way
   */
  async leave(graceMs: number): Promise<void> {
    const { sql, crew, log } = this.#deps;
    this.#stopped = true;
    for (const timer of [this.#timer, this.#soonTimer, ...this.#recheckTimers]) clearTimeout(timer);
    await Promise.allSettled([crew.handOverAll(graceMs), this.#beating]);
    const held = await listLeases(sql, this.#id);
    const released = held.length > 0 ? await this.#release(held, crew.unsent) : 0;
    await deleteWorker(sql, this.#id);
    if (released > 0) log.info("subtasks handed over", { subtasks: released });
  }
}
