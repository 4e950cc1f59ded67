/** A worker's membership in the fleet: signs of life, its share of the slots, and what the rows say it holds. */
import type { Pool } from "../../db/pg/connect.ts";
import { listHeld } from "../../db/queue/dispatch.ts";
import { type Held, type Queue, releaseSubtasks } from "../../db/queue/subtasks.ts";
import { beat, deleteWorker, insertWorker, type Room, takeSlots } from "../../db/queue/workers.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import type { Crew } from "./crew.ts";
import { type Portion, shareSlots } from "../slots/shares.ts";

export interface MemberDeps {
  sql: Pool;
  log: Log;
  metrics: Metrics;
  crew: Crew;
  queues: Queue[];
  /** The most slots of each queue, instead of an equal share of the fleet's. */
  slotsMax?: number;
  /** JSON text of how the image API answered, by backend. */
  describeHealth?: () => string;
  /** Between two signs of life: 2 s. */
  beatMs?: number;
}

const standardBeatMs = 2_000;
const doubtMs = [300, 800, 1_500];
/** Until the next look where slots have changed hands, or are waited for; for so long that is worth while. */
const nudgeMs = { changed: 50, short: 250, shortFor: 15_000 };
const lockTimeout = "55P03";
/** Two thirds of the time after which others declare us dead. */
const silentMsMax = 4_000;

const nameWorker = (): string =>
  `${Deno.hostname()}-${Deno.pid}-${crypto.getRandomValues(new Uint8Array(4)).toHex()}`;

export class Member {
  readonly #deps: MemberDeps;
  #id = nameWorker();
  #heardAt = -Infinity;
  #steadySince = Infinity;
  /** Leases in the rows that nobody here works on: when each was first seen. */
  #strangers = new Map<string, number>();
  #looking: Promise<void> | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #doubts: ReturnType<typeof setTimeout>[] = [];
  #stopped = false;
  #nudge: ReturnType<typeof setTimeout> | undefined;
  /** What the rows say that we hold. */
  #held: Record<string, number> = {};
  #shortSince: number | undefined;

  constructor(deps: MemberDeps) {
    this.#deps = deps;
  }

  get id(): string {
    return this.#id;
  }

  /** False once it could not say that it lives for too long: it must not begin anything. */
  get mayStart(): boolean {
    return !this.#stopped && performance.now() - this.#heardAt < silentMsMax;
  }

  /** For how long all signs of life have arrived. */
  get steadyMs(): number {
    return this.mayStart ? performance.now() - this.#steadySince : 0;
  }

  /** Signs in and begins to beat. */
  async join(): Promise<void> {
    const { sql, queues } = this.#deps;
    await insertWorker(sql, { id: this.#id, host: Deno.hostname(), pid: Deno.pid, queues });
    await this.runOnce();
    this.#schedule();
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#timer = setTimeout(async () => {
      await this.runOnce().catch((error) => {
        if (!this.mayStart) {
          this.#deps.log.warn("no sign of life possible: nothing new is begun", { cause: String(error) });
        }
      });
      this.#schedule();
    }, this.#deps.beatMs ?? standardBeatMs);
  }

  /** Looks soon, and once more, at what the rows say: a claim may have been carried out without our knowing. */
  doubt(): void {
    if (this.#doubts.length > 0) return;
    this.#doubts = doubtMs.map((ms, i) =>
      setTimeout(() => {
        void this.runOnce().catch(() => {});
        if (i === doubtMs.length - 1) this.#doubts = [];
      }, ms)
    );
  }

  /** Looks soon: slots have changed hands. */
  nudge(ms = nudgeMs.changed): void {
    if (this.#stopped) return;
    this.#nudge ??= setTimeout(async () => {
      this.#nudge = undefined;
      await this.#looking?.catch(() => {});
      if (!this.#stopped) await this.runOnce().catch(() => {});
    }, ms);
  }

  /** An attempt has ended: where others wait for its slot, it is given up soon. */
  onEnd(): void {
    for (const [queue, { max }] of this.#deps.crew.slots) if ((this.#held[queue] ?? 0) > max) this.nudge();
  }

  /** One sign of life, and a look at what the rows say; who asks while one is under way waits for that one. */
  runOnce(): Promise<void> {
    this.#looking ??= this.#look().finally(() => this.#looking = undefined);
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { sql, crew, describeHealth = () => "{}" } = this.#deps;
    const sentAt = performance.now();
    const known = crew.leases();
    if (!await beat(sql, this.#id, describeHealth())) return await this.#rejoin();
    if (!this.mayStart) this.#steadySince = sentAt;
    this.#heardAt = sentAt;
    await this.#share();
    await this.#compare(known);
  }

  /** Takes our share of the slots, as far as nobody has it. */
  async #share(): Promise<void> {
    const { sql, crew, queues, slotsMax, log } = this.#deps;
    if (this.#stopped) return;
    let portions = new Map<Queue, Portion>();
    const decide = (rooms: Room[]) => {
      const busy = (queue: Queue) => crew.slots.get(queue)?.busy ?? 0;
      portions = shareSlots(rooms, { queues, busy, ...(slotsMax === undefined ? {} : { slotsMax }) });
      const held: Record<string, number> = {};
      for (const [queue, { slots }] of portions) {
        // What is given up must not be begun any more when the rows say so.
        if (slots < (crew.slots.get(queue)?.max ?? 0)) crew.setSlots(queue, slots);
        held[queue] = Math.max(slots, busy(queue));
      }
      return held;
    };
    try {
      this.#held = await takeSlots(sql, this.#id, decide);
    } catch (error) {
      if ((error as { code?: string }).code !== lockTimeout) throw error;
      log.warn("the slots' rows are locked: this worker keeps what it has", { worker: this.#id });
      return;
    }
    if (this.#stopped) return;
    for (const [queue, { slots }] of portions) crew.setSlots(queue, slots);
    const short = [...portions.values()].some(({ slots, target }) => slots < target);
    this.#shortSince = short ? this.#shortSince ?? performance.now() : undefined;
    if (short && performance.now() - this.#shortSince! < nudgeMs.shortFor) this.nudge(nudgeMs.short);
  }

  /** Aborts what the rows took from us, and gives back what they say we hold and nobody here works on. */
  async #compare(known: Set<string>): Promise<void> {
    const { sql, crew, log } = this.#deps;
    const held = await listHeld(sql, this.#id);
    const seenAt = performance.now();
    const dropped = crew.dropExcept(new Set(held.map(({ lease_id }) => lease_id)), known);
    if (dropped > 0) log.info("subtasks taken away", { subtasks: dropped });
    const strangers = crew.strangers(held);
    // A claim or an end may be under way: only what was strange twice is given back, and only once every claim that
    // may have brought it has been answered.
    const sure = strangers.filter(({ lease_id }) => {
      const firstAt = this.#strangers.get(lease_id);
      return firstAt !== undefined && !crew.claims.underWaySince(firstAt);
    });
    const seen = this.#strangers;
    this.#strangers = new Map(strangers.map(({ lease_id }) => [lease_id, seen.get(lease_id) ?? seenAt]));
    if (sure.length > 0) {
      await this.#release(sure, new Set());
      log.warn("subtasks given back that nobody worked on", { subtasks: sure.length });
    }
  }

  /** @returns how many were still ours */
  async #release(held: Held[], unsent: Set<string>): Promise<number> {
    const { released, unsaved } = await releaseSubtasks(this.#deps.sql, held, unsent);
    this.#deps.metrics.unsavedPosts.inc(unsaved);
    return released;
  }

  /** Declared dead: everything we hold is others' now. */
  async #rejoin(): Promise<void> {
    const { sql, crew, queues, log } = this.#deps;
    const dropped = crew.dropAll();
    // Our slots are others' now too.
    for (const queue of queues) crew.setSlots(queue, 0);
    this.#held = {};
    const before = this.#id;
    this.#id = nameWorker();
    await insertWorker(sql, { id: this.#id, host: Deno.hostname(), pid: Deno.pid, queues });
    log.warn("this worker was declared dead and begins anew", {
      before,
      worker: this.#id,
      subtasks: dropped,
    });
    this.nudge();
  }

  /** Hands everything over and signs out. @param graceMs for POSTs under way */
  async leave(graceMs: number): Promise<void> {
    const { sql, crew, log } = this.#deps;
    this.#stopped = true;
    for (const timer of [this.#timer, this.#nudge, ...this.#doubts]) clearTimeout(timer);
    await Promise.allSettled([crew.handOverAll(graceMs), this.#looking]);
    const held = await listHeld(sql, this.#id);
    const released = held.length > 0 ? await this.#release(held, crew.unsent) : 0;
    await deleteWorker(sql, this.#id);
    if (released > 0) log.info("subtasks handed over", { subtasks: released });
  }
}
