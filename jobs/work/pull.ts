/** One queue of one worker: waits for a slot, asks what to do, claims it, starts it. */
import type { Sql } from "../../db/pg/connect.ts";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import {
  type Claimed,
  claimSubtasks,
  type Queue,
  type Ref,
  releaseSubtasks,
} from "../../db/queue/subtasks.ts";
import { startTasks } from "../../db/queue/tasks.ts";
import type { Log } from "../../log.ts";
import { isPassing } from "../../batch.ts";
import { Bell, type RedisHealth } from "../../bell.ts";
import type { Crew } from "./crew.ts";
import type { BlockingDoor } from "../../redis/connect.ts";
import type { Slots } from "../slots/slots.ts";
import type { Message, Streams } from "../../redis/stream.ts";

export interface PullDeps {
  sql: Sql;
  log: Log;
  streams: Streams;
  health: RedisHealth;
  crew: Crew;
  /** Rung for the feed: the stream was found empty or wiped. */
  hungry: () => void;
  /** The worker's present id, in claims and as a consumer. */
  workerId: () => string;
  /** How many pullers this worker has: without blocking reads they take turns. */
  pullers?: number;
  /** How many new attempts of a queue its generator takes; Infinity while it is well. */
  room?: (queue: Queue) => number;
  /** False while this worker must not begin anything: it could not say that it lives. */
  mayStart: () => boolean;
  /** Told when a claim failed and may have been carried out all the same. */
  onDoubt: () => void;
}

const blockMs = 1_000;
/** Of a worker; its queues share it. */
const pollMs = { least: 100, most: 30_000 };
/** What was kept for longer has been fed again. */
const stockMs = 15_000;
const entryRefs = 16;
const fallbackMs = 500;

export class Puller {
  readonly queue: Queue;
  readonly #slots: Slots;
  readonly #deps: PullDeps;
  #door: BlockingDoor | undefined;
  #stopping = false;
  #pollMs = pollMs.least;
  #cursor = "0-0";
  /** Of entries with many subtasks: what had no room yet. */
  #stock: Ref[] = [];
  #stockedAt = 0;
  /** Read and not claimed, for PostgreSQL did not answer: whoever else is to have them would wait until they are stale. */
  #unclaimed: Message[] = [];
  /** Messages read so far. */
  reads = 0;
  /** Rung when there may be something new in the stream, or in the rows while Redis is away. */
  readonly bell = new Bell();

  constructor(queue: Queue, deps: PullDeps) {
    this.queue = queue;
    this.#deps = deps;
    this.#slots = deps.crew.slots.get(queue)!;
  }

  /** How many attempts may begin now. */
  get #free(): number {
    const room = this.#deps.room?.(this.queue) ?? Infinity;
    return Math.max(0, Math.min(this.#slots.free, room === Infinity ? room : room - this.#slots.busy));
  }

  /** No new reads from now on; a read under way ends at once. */
  stop(): void {
    this.#stopping = true;
    this.#door?.close();
    this.#door = undefined;
    this.bell.ring();
    this.#slots.max = 0;
  }

  /** Runs until it is stopped. */
  async run(): Promise<void> {
    while (!this.#stopping) {
      if (this.#free === 0 || !this.#deps.mayStart()) {
        await Promise.race([this.#slots.changed(), this.bell.wait(fallbackMs)]);
        continue;
      }
      try {
        await this.runOnce();
      } catch (error) {
        if (this.#stopping) break;
        this.#deps.onDoubt();
        if (!isPassing(error)) this.#deps.log.error("claiming failed", { queue: this.queue }, error);
        await this.bell.wait(fallbackMs);
      }
    }
    await this.#putBack();
  }

  /** What was kept goes to others at once. */
  async #putBack(): Promise<void> {
    const { streams } = this.#deps;
    const stock = this.#stock.splice(0);
    const unclaimed = this.#unclaimed.splice(0);
    const refs = [...stock, ...unclaimed.flatMap((message) => message.refs)];
    await streams.add(this.queue, refs, refs.length)
      .then(() => streams.drop(this.queue, unclaimed.map(({ entry }) => entry)))
      .catch(() => {});
  }

  /** Reads once, claims and starts what it got. @returns how many were started */
  async runOnce(): Promise<number> {
    if (this.#unclaimed.length > 0) return await this.take(this.#unclaimed.splice(0));
    if (this.#stock.length > 0) return await this.#takeStock();
    const messages = this.#deps.health.worthTrying ? await this.#tryRead() : undefined;
    if (!messages) return this.#stopping ? 0 : await this.#takeFromRows();
    if (messages.length === 0) return 0;
    return await this.take(messages);
  }

  /** @returns undefined where Redis did not answer */
  async #tryRead(): Promise<Message[] | undefined> {
    const { streams, health, hungry } = this.#deps;
    try {
      this.#door ??= streams.openBlocking(blockMs);
      // An entry may hold many: over REST one is read at a time.
      const count = streams.kind === "rest" ? Math.ceil(this.#free / entryRefs) : this.#free;
      const ask = { consumer: this.#deps.workerId(), count };
      const wait = this.#door ? { wait: { door: this.#door, blockMs } } : {};
      const got = await streams.read(this.queue, { ...ask, ...wait });
      health.answered();
      if (got === "no_group") hungry();
      const messages = got === "no_group" ? [] : got;
      if (!this.#door) await this.#waitForPoll(messages.length);
      return messages;
    } catch (error) {
      if (!this.#stopping) health.failed(error);
      this.#door?.close();
      this.#door = undefined;
    }
  }

  /** Without blocking reads: soon again after work, ever later without, at once when woken. */
  async #waitForPoll(found: number): Promise<void> {
    if (found > 0) {
      this.#pollMs = pollMs.least;
      return;
    }
    await this.bell.wait(this.#pollMs);
    this.#pollMs = Math.min(this.#pollMs * 2, pollMs.most * (this.#deps.pullers ?? 1));
  }

  /** Claims what messages point to, then acknowledges them, whoever got the rows. */
  async take(messages: Message[]): Promise<number> {
    const refs = messages.flatMap((message) => message.refs);
    this.reads += messages.length;
    const surplus = refs.slice(this.#free);
    const started = await this.#claim(refs).catch((error) => {
      if (isPassing(error)) this.#unclaimed.push(...messages);
      throw error;
    });
    const { streams, health } = this.#deps;
    const keeps = streams.kind === "rest";
    if (keeps && surplus.length > 0) {
      this.#stock.push(...surplus);
      this.#stockedAt = performance.now();
    }
    // Slots were taken away since the read: what has no room goes to the end of the stream.
    const settled = streams.add(this.queue, keeps ? [] : surplus)
      .then(() => streams.drop(this.queue, messages.map(({ entry }) => entry)));
    settled.catch((error) => health.failed(error));
    return started;
  }

  /** From what was read before: costs no command. */
  async #takeStock(): Promise<number> {
    if (performance.now() - this.#stockedAt > stockMs) {
      this.#stock = [];
      return 0;
    }
    return await this.#claim(this.#stock.splice(0, this.#free));
  }

  /** Takes over what a worker read and never claimed, from where the last call ended. */
  async takeOver(idleMs: number): Promise<number> {
    const { streams, workerId } = this.#deps;
    const count = this.#free;
    if (count === 0 || this.#stopping) return 0;
    const { cursor, messages } = await streams.takeOver(this.queue, {
      consumer: workerId(),
      cursor: this.#cursor,
      idleMs,
      count,
    });
    this.#cursor = cursor;
    return messages.length > 0 ? await this.take(messages) : 0;
  }

  /** Without Redis: the fair order straight from the rows. */
  async #takeFromRows(): Promise<number> {
    const refs = await listDispatchable(this.#deps.sql, this.queue, this.#free);
    const started = refs.length > 0 ? await this.#claim(refs) : 0;
    if (started === 0) await this.bell.wait(fallbackMs);
    return started;
  }

  /** Of what came too late to be begun no POST was sent; what cannot be written here others find by our silence. */
  #giveBack(claimed: Claimed[]): void {
    if (claimed.length === 0) return;
    const unsent = claimed.filter(({ remote_id }) => remote_id === null).map(({ lease_id }) => lease_id);
    releaseSubtasks(this.#deps.sql, claimed, new Set(unsent)).catch(() => {});
  }

  async #claim(refs: Ref[]): Promise<number> {
    const { sql, crew } = this.#deps;
    // Slots are taken before the claim, so that nothing else can use them meanwhile.
    const wanted = refs.slice(0, this.#free);
    if (wanted.length === 0 || this.#stopping) return 0;
    this.#slots.take(wanted.length);
    let used = 0;
    const claimedAt = performance.now();
    try {
      const claimed = await crew.claims.run(
        () => claimSubtasks(sql, this.#deps.workerId(), wanted),
        (late) => this.#giveBack(late),
      );
      const refused = claimed.filter((subtask) => !crew.start(subtask, this.#slots, claimedAt));
      used = claimed.length - refused.length;
      this.#giveBack(refused);
      const fresh = claimed.filter(({ task_status }) => task_status === "pending");
      if (fresh.length > 0) await startTasks(sql, [...new Set(fresh.map(({ task_id }) => task_id))]);
      return used;
    } finally {
      if (wanted.length > used) this.#slots.give(wanted.length - used);
    }
  }
}
