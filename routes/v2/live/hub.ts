/**
 * Event streams of tasks. All streams share one poll of the database, and each change is read once.
 *
 * The hub is `idle` without streams and `polling` with at least one. It starts to poll when the first stream
 * opens and stops when the last one ends. When the process drains, the hub ends all streams and refuses new
 * ones.
 */
import type { Sql } from "../../../db/pg/connect.ts";
import { listInvalidCredentials, listTaskStates } from "../../../db/views/events.ts";
import type { Log } from "../../../log.ts";
import { Bell } from "../../../bell.ts";
import { EventClient, eventText } from "./event_client.ts";
import { WatchedRuns } from "./watched_runs.ts";
import { type Subscriber, type Subscription, WatchedTask } from "./watched_task.ts";

export type { Subscriber } from "./watched_task.ts";

export interface HubDeps {
  sql: Sql;
  log: Log;
  /** Aborted when the process stops to listen. */
  closing?: AbortSignal | undefined;
}

/** Interval of the polls: on average, half of it passes between a commit and the read of its change. */
const pollMs = 100;
/** Minimum time between two polls, also if new streams request one. */
const pollMsMin = 25;
const credentialCheckMs = 5_000;
/** Maximum number of tasks that are read concurrently. Requests need the pool, too. */
const tasksReadMax = 2;

const encoder = new TextEncoder();

/** Returns the last event of a stream. Its random retry delay spreads the reconnections of many clients. */
function byeText(reason: "expired" | "revoked" | "draining" | "deleted"): Uint8Array {
  const retry = encoder.encode(`retry: ${500 + Math.floor(Math.random() * 1500)}\n\n`);
  const bye = eventText("bye", { reason });
  const text = new Uint8Array(retry.length + bye.length);
  text.set(retry);
  text.set(bye, retry.length);
  return text;
}

/** Limits and end of a new stream. */
interface StreamOptions {
  /** Maximum number of open streams of this subscriber in the process. */
  streamsMax: number;
  /** Aborted when the client disconnects. */
  gone: AbortSignal;
}

type Opened = ReadableStream<Uint8Array> | "too_many" | "draining";

/** Polls the watched tasks and sends their events to the open streams. */
export class EventHub {
  readonly #deps: HubDeps;
  readonly #tasks = new Map<string, WatchedTask>();
  readonly #runs: WatchedRuns;
  /** Number of open streams by subscriber id. */
  readonly #streamCounts = new Map<string, number>();
  readonly #bell = new Bell();
  #isPolling = false;
  #credentialsCheckedAt = performance.now();
  #isFailing = false;

  constructor(deps: HubDeps) {
    this.#deps = deps;
    this.#runs = new WatchedRuns(deps.sql);
    deps.closing?.addEventListener("abort", () => {
      for (const { client } of this.#subscriptions()) client.end(byeText("draining"));
    }, { once: true });
  }

  /** Number of open streams. */
  get size(): number {
    return this.#subscriptions().length;
  }

  #subscriptions(): Subscription[] {
    return [this.#runs, ...this.#tasks.values()].flatMap(({ subscriptions }) => [...subscriptions]);
  }

  /** Opens a stream of a task's events. */
  open(taskId: string, subscriber: Subscriber, options: StreamOptions): Opened {
    const task = this.#tasks.get(taskId) ?? new WatchedTask(taskId, this.#deps.sql);
    return this.#open(task, subscriber, options, () => this.#tasks.set(taskId, task));
  }

  /** Opens a stream of what happens in all runs. */
  openRuns(subscriber: Subscriber, options: StreamOptions): Opened {
    return this.#open(this.#runs, subscriber, options, () => {});
  }

  #open(
    watched: WatchedTask | WatchedRuns,
    subscriber: Subscriber,
    { streamsMax, gone }: StreamOptions,
    register: () => void,
  ): Opened {
    if (this.#deps.closing?.aborted) return "draining";
    const openCount = this.#streamCounts.get(subscriber.id) ?? 0;
    if (openCount >= streamsMax) return "too_many";
    this.#streamCounts.set(subscriber.id, openCount + 1);
    register();
    const client = new EventClient(() => watched.resync(), () => {
      gone.removeEventListener("abort", client.leave);
      this.#remove(watched, subscription);
    });
    const subscription: Subscription = { ...subscriber, client, joined: false };
    watched.subscriptions.add(subscription);
    gone.addEventListener("abort", client.leave, { once: true });
    client.push(encoder.encode("retry: 2000\n\n"));
    this.#bell.ring();
    if (!this.#isPolling) void this.#run();
    return client.stream;
  }

  #remove(watched: WatchedTask | WatchedRuns, subscription: Subscription): void {
    watched.subscriptions.delete(subscription);
    const isLast = watched instanceof WatchedTask && watched.subscriptions.size === 0;
    if (isLast && this.#tasks.get(watched.id) === watched) this.#tasks.delete(watched.id);
    const openCount = (this.#streamCounts.get(subscription.id) ?? 1) - 1;
    if (openCount > 0) this.#streamCounts.set(subscription.id, openCount);
    else this.#streamCounts.delete(subscription.id);
    if (!this.#isWatching()) this.#bell.ring();
  }

  #isWatching(): boolean {
    return this.#tasks.size > 0 || this.#runs.subscriptions.size > 0;
  }

  async #run(): Promise<void> {
    this.#isPolling = true;
    while (this.#isWatching()) {
      await this.#bell.wait(pollMs);
      try {
        await this.#poll();
        this.#isFailing = false;
      } catch (error) {
        // Streams stay open. A later poll reads what they missed.
        if (!this.#isFailing) {
          this.#deps.log.warn("event streams wait for the database", { cause: String(error) });
        }
        this.#isFailing = true;
      }
      await new Promise((resolve) => setTimeout(resolve, pollMsMin));
    }
    this.#isPolling = false;
  }

  async #poll(): Promise<void> {
    this.#expireOrKeepAlive();
    const watched = [...this.#tasks.values()].map((task) => ({
      task,
      subscriptions: [...task.subscriptions],
    }));
    const ofRuns = [...this.#runs.subscriptions];
    if (watched.length === 0 && ofRuns.length === 0) return;
    if (performance.now() - this.#credentialsCheckedAt >= credentialCheckMs) await this.#checkCredentials();
    if (ofRuns.length > 0) await this.#runs.advance(ofRuns);
    if (watched.length === 0) return;
    const states = await listTaskStates(this.#deps.sql, watched.map(({ task }) => task.id));
    const stateById = new Map(states.map((state) => [state.id, state]));
    const queue = watched.values();
    await Promise.all(Array.from({ length: tasksReadMax }, async () => {
      for (const { task, subscriptions } of queue) {
        const state = stateById.get(task.id);
        if (state) await task.advance(state, subscriptions);
        else for (const { client } of subscriptions) client.end(byeText("deleted"));
      }
    }));
  }

  /** Ends streams whose token has expired, and sends heartbeats to the others. */
  #expireOrKeepAlive(): void {
    const now = Date.now();
    for (const { client, expiresAt } of this.#subscriptions()) {
      if (expiresAt !== null && now >= expiresAt) client.end(byeText("expired"));
      else client.keepAlive();
    }
  }

  /** Ends streams whose session or share is no longer valid. */
  async #checkCredentials(): Promise<void> {
    this.#credentialsCheckedAt = performance.now();
    const subscriptions = this.#subscriptions();
    const credentials = new Map(subscriptions.map(({ credential }) => [credential.id, credential]));
    const invalid = new Set(await listInvalidCredentials(this.#deps.sql, [...credentials.values()]));
    for (const { client, credential } of subscriptions) {
      if (invalid.has(credential.id)) client.end(byeText("revoked"));
    }
  }
}
