/** Fills a worker's slots of one queue: reads messages, claims their subtasks and starts attempts. */
import type { Sql } from "../../db/pg/connect.ts";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import {
  type ClaimedSubtask,
  claimSubtasks,
  type Queue,
  releaseSubtasks,
  type SubtaskRef,
} from "../../db/queue/subtasks.ts";
import { startTasks } from "../../db/queue/tasks.ts";
import type { Log } from "../../log.ts";
import { stockMsMax } from "../../db/queue/times.ts";
import { Bell } from "../../bell.ts";
import { isPassing } from "../../passing.ts";
import type { RedisHealth } from "../../redis/health.ts";
import type { Crew } from "./crew.ts";
import type { BlockingConnection } from "../../redis/connect.ts";
import type { Slots } from "../slots/slots.ts";
import type { Message, Streams } from "../../redis/stream.ts";

export interface PullDeps {
  sql: Sql;
  log: Log;
  streams: Streams;
  health: RedisHealth;
  crew: Crew;
  /** Called when the consumer group was missing: Redis was wiped, and the feed must fill it. */
  onGroupMissing: () => void;
  /** Returns the worker's current id, which claims and consumers carry. */
  workerId: () => string;
  /** Number of pullers in this worker. Without blocking reads, they share the polling rate. */
  pullers?: number;
  /** Bounds of the wait between two polls without blocking reads. */
  pollMs?: { min: number; max: number };
  /** Returns how many attempts of a queue its backend accepts; Infinity while the backend is healthy. */
  attemptsMax?: (queue: Queue) => number;
  /** Returns whether this worker may start attempts. */
  mayStart: () => boolean;
  /** Called when a claim failed, although PostgreSQL may have carried it out. */
  onClaimFailed: () => void;
}

/** Length of a blocking read. */
const blockMs = 1_000;
/** Shortest wait between two polls, and the longest of a worker with one queue. */
const defaultPollMs = { min: 100, max: 30_000 };
/** Number of subtasks for which one entry is read over REST. */
const refsPerEntry = 16;
const fallbackMs = 500;

/**
 * The loop of one queue. Its sources, in order: messages whose claim failed, the stock, the stream, the rows.
 *
 * States: waiting for a slot, reading, claiming, waiting after a failure, stopped. Moves:
 * - A free slot moves it from waiting to reading, while the worker may start attempts.
 * - Messages move it from reading to claiming; so do rows while Redis does not answer or the feed fails.
 * - After a claim it starts the claimed subtasks and waits or reads again.
 * - A failed claim keeps the messages and moves it to waiting after a failure, then to reading.
 * - `stop` ends a read under way; it then returns unclaimed messages and stock to the stream.
 */
export class Puller {
  readonly queue: Queue;
  readonly #slots: Slots;
  readonly #deps: PullDeps;
  #connection: BlockingConnection | undefined;
  #stopping = false;
  #pollMs = 0;
  #cursor = "0-0";
  /** Subtasks of read entries for which there was no slot yet. */
  #stock: SubtaskRef[] = [];
  #stockedAt = 0;
  /** Messages whose claim failed because PostgreSQL did not answer. They are claimed first when it does. */
  #unclaimed: Message[] = [];
  /** Entries that Redis did not drop. They fill the stream, so they are dropped before the next read. */
  #undropped: string[] = [];
  /** Number of messages read so far. */
  reads = 0;
  /**
   * Rung when the stream, or the rows while Redis is away, may have new subtasks; and when Redis goes away.
   */
  readonly bell = new Bell();

  constructor(queue: Queue, deps: PullDeps) {
    this.queue = queue;
    this.#deps = deps;
    this.#slots = deps.crew.slots.get(queue)!;
  }

  /** Number of attempts that may start now. */
  get #free(): number {
    const max = this.#deps.attemptsMax?.(this.queue) ?? Infinity;
    return Math.max(0, Math.min(this.#slots.free, max === Infinity ? max : max - this.#slots.busy));
  }

  /** Ends the loop and a read under way. */
  stop(): void {
    this.#stopping = true;
    this.#connection?.close();
    this.#connection = undefined;
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
        this.#deps.onClaimFailed();
        if (!isPassing(error)) this.#deps.log.error("claiming failed", { queue: this.queue }, error);
        await this.bell.wait(fallbackMs);
      }
    }
    await this.#returnUnclaimed();
  }

  /** Writes unclaimed subtasks to the stream again, for other workers. */
  async #returnUnclaimed(): Promise<void> {
    const { streams } = this.#deps;
    const stock = this.#stock.splice(0);
    const unclaimed = this.#unclaimed.splice(0);
    const refs = [...stock, ...unclaimed.flatMap((message) => message.refs)];
    await streams.add(this.queue, refs, refs.length)
      .then(() => this.#drop(unclaimed.map(({ entry }) => entry)))
      .catch(() => {});
  }

  /**
   * Reads once, claims and starts subtasks.
   *
   * @returns the number of started subtasks
   */
  async runOnce(): Promise<number> {
    if (this.#unclaimed.length > 0) return await this.claimMessages(this.#unclaimed.splice(0));
    if (this.#stock.length > 0) return await this.#claimStock();
    const messages = this.#deps.health.mayRead ? await this.#tryRead() : undefined;
    if (!messages) return this.#stopping ? 0 : await this.#claimFromRows();
    if (messages.length === 0) return 0;
    return await this.claimMessages(messages);
  }

  /** @returns undefined when Redis did not answer */
  async #tryRead(): Promise<Message[] | undefined> {
    const { streams, health, onGroupMissing } = this.#deps;
    try {
      if (this.#undropped.length > 0 && !await this.#drop([])) return undefined;
      this.#connection ??= streams.openBlocking(blockMs);
      // Over REST, an entry names many subtasks.
      const count = streams.kind === "rest" ? Math.ceil(this.#free / refsPerEntry) : this.#free;
      const consumer = this.#deps.workerId();
      const wait = this.#connection ? { wait: { connection: this.#connection, blockMs } } : {};
      const answer = await streams.read(this.queue, { consumer, count, ...wait });
      health.answered();
      if (answer === "no_group") onGroupMissing();
      const messages = answer === "no_group" ? [] : answer;
      if (!this.#connection) await this.#waitForPoll(messages.length);
      return messages;
    } catch (error) {
      if (!this.#stopping) health.failed(error);
      this.#connection?.close();
      this.#connection = undefined;
    }
  }

  /** Waits between polls without blocking reads: not at all after messages, else twice as long each time. */
  async #waitForPoll(found: number): Promise<void> {
    const { pollMs = defaultPollMs, pullers = 1 } = this.#deps;
    this.#pollMs = found > 0 ? 0 : Math.min(Math.max(this.#pollMs * 2, pollMs.min), pollMs.max * pullers);
    if (this.#pollMs > 0) await this.bell.wait(this.#pollMs);
  }

  /**
   * Claims the subtasks of messages, then acknowledges the messages, even where another worker got the
   * subtasks.
   *
   * @returns the number of started subtasks
   */
  async claimMessages(messages: Message[]): Promise<number> {
    const refs = messages.flatMap((message) => message.refs);
    this.reads += messages.length;
    const surplus = refs.slice(this.#free);
    const started = await this.#claim(refs).catch((error) => {
      if (isPassing(error)) this.#unclaimed.push(...messages);
      throw error;
    });
    void this.#putBack(surplus).then(() => this.#drop(messages.map(({ entry }) => entry)));
    return started;
  }

  /**
   * Keeps subtasks without a slot. Over TCP, they go to the end of the stream where Redis accepts entries: slots
   * were withdrawn since the read.
   */
  async #putBack(surplus: SubtaskRef[]): Promise<void> {
    const { streams, health } = this.#deps;
    if (surplus.length === 0) return;
    if (streams.kind === "tcp") {
      try {
        return await streams.add(this.queue, surplus);
      } catch (error) {
        health.failed(error);
      }
    }
    this.#stock.push(...surplus);
    this.#stockedAt = performance.now();
  }

  /** Drops entries, and those that could not be dropped before. @returns false when Redis refuses it */
  async #drop(entries: string[]): Promise<boolean> {
    const { streams, health } = this.#deps;
    const all = [...this.#undropped.splice(0), ...entries];
    try {
      await streams.drop(this.queue, all);
      health.dropped();
      return true;
    } catch (error) {
      this.#undropped.push(...all);
      if (!this.#stopping) health.dropFailed(error);
      return false;
    }
  }

  /** Claims subtasks of the stock, which needs no call of Redis. */
  async #claimStock(): Promise<number> {
    if (performance.now() - this.#stockedAt > stockMsMax) {
      this.#stock = [];
      return 0;
    }
    return await this.#claim(this.#stock.splice(0, this.#free));
  }

  /** Takes over messages that another worker read and did not claim. Continues where the last call ended. */
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
    return messages.length > 0 ? await this.claimMessages(messages) : 0;
  }

  /** Claims in fair order from the rows, without Redis. */
  async #claimFromRows(): Promise<number> {
    const refs = await listDispatchable(this.#deps.sql, this.queue, this.#free);
    const started = refs.length > 0 ? await this.#claim(refs) : 0;
    if (started === 0) await this.bell.wait(fallbackMs);
    return started;
  }

  /** Releases claimed subtasks that were not started. If the write fails, a later heartbeat releases them. */
  #releaseUnstarted(claimed: ClaimedSubtask[]): void {
    if (claimed.length === 0) return;
    const unsent = claimed.filter(({ remote_id }) => remote_id === null).map(({ lease_id }) => lease_id);
    releaseSubtasks(this.#deps.sql, claimed, new Set(unsent)).catch(() => {});
  }

  /** @returns the number of started subtasks */
  async #claim(refs: SubtaskRef[]): Promise<number> {
    const { sql, crew } = this.#deps;
    // Slots are acquired before the claim, so that nothing else uses them meanwhile.
    const wanted = refs.slice(0, this.#free);
    if (wanted.length === 0 || this.#stopping) return 0;
    this.#slots.acquire(wanted.length);
    let used = 0;
    const claimedAt = performance.now();
    const worker = this.#deps.workerId();
    try {
      const claimed = await crew.claims.run(
        () => claimSubtasks(sql, worker, wanted),
        (late) => this.#releaseUnstarted(late),
      );
      // A new id means that this worker was declared dead meanwhile: others own the subtasks.
      const isMember = worker === this.#deps.workerId();
      const refused = claimed.filter((subtask) => !isMember || !crew.start(subtask, this.#slots, claimedAt));
      used = claimed.length - refused.length;
      this.#releaseUnstarted(refused);
      const fresh = claimed.filter(({ task_status }) => task_status === "pending");
      if (fresh.length > 0) await startTasks(sql, [...new Set(fresh.map(({ task_id }) => task_id))]);
      return used;
    } finally {
      if (wanted.length > used) this.#slots.release(wanted.length - used);
    }
  }
}
