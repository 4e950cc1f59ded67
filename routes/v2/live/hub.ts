/** Live views of tasks: one look at the database for all who watch, and each change read once. */
import type { Sql } from "../../../db/pg/connect.ts";
import { listShutDoors, listTaskStates } from "../../../db/views/events.ts";
import type { Log } from "../../../log.ts";
import { Bell } from "../../../bell.ts";
import { EventClient, eventText } from "./reader.ts";
import { type Viewer, WatchedTask, type Watcher } from "./watched_task.ts";

export type { Viewer } from "./watched_task.ts";

export interface HubDeps {
  sql: Sql;
  log: Log;
  /** The process is going: streams end at once, and none begins. */
  draining?: AbortSignal | undefined;
}

const lookMs = 250;
/** Between two looks that joiners hasten. */
const restMs = 25;
const doorsMs = 5_000;
/** Tasks that are read at once: the pool is for requests too. */
const lanes = 2;

const encoder = new TextEncoder();

/** Why a stream ends; its reader comes again after a moment of its own, so that not all come at once. */
function byeText(reason: "expired" | "revoked" | "draining" | "deleted"): Uint8Array {
  const retry = encoder.encode(`retry: ${500 + Math.floor(Math.random() * 1500)}\n\n`);
  const bye = eventText("bye", { reason });
  const text = new Uint8Array(retry.length + bye.length);
  text.set(retry);
  text.set(bye, retry.length);
  return text;
}

/** Watches tasks while somebody else does. */
export class EventHub {
  readonly #deps: HubDeps;
  readonly #tasks = new Map<string, WatchedTask>();
  readonly #streams = new Map<string, number>();
  readonly #bell = new Bell();
  #running = false;
  #doorsAt = performance.now();
  #failing = false;

  constructor(deps: HubDeps) {
    this.#deps = deps;
    deps.draining?.addEventListener("abort", () => {
      for (const watcher of this.#watchers()) watcher.client.end(byeText("draining"));
    }, { once: true });
  }

  /** Streams that are open. */
  get size(): number {
    return this.#watchers().length;
  }

  #watchers(): Watcher[] {
    return [...this.#tasks.values()].flatMap(({ watchers }) => [...watchers]);
  }

  /**
   * Opens a stream of a task's events.
   *
   * @param streamsMax that this viewer may have open here
   * @param gone aborted when the reader has left
   */
  open(
    taskId: string,
    viewer: Viewer,
    { streamsMax, gone }: { streamsMax: number; gone: AbortSignal },
  ): ReadableStream<Uint8Array> | "too_many" | "draining" {
    if (this.#deps.draining?.aborted) return "draining";
    const held = this.#streams.get(viewer.id) ?? 0;
    if (held >= streamsMax) return "too_many";
    this.#streams.set(viewer.id, held + 1);
    const task = this.#tasks.get(taskId) ?? new WatchedTask(taskId, this.#deps.sql);
    this.#tasks.set(taskId, task);
    const client = new EventClient(() => task.resync(), () => {
      gone.removeEventListener("abort", client.leave);
      this.#leave(task, watcher);
    });
    const watcher: Watcher = { ...viewer, client, joined: false };
    task.watchers.add(watcher);
    gone.addEventListener("abort", client.leave, { once: true });
    client.push(encoder.encode("retry: 2000\n\n"));
    this.#bell.ring();
    if (!this.#running) void this.#run();
    return client.stream;
  }

  #leave(task: WatchedTask, watcher: Watcher): void {
    task.watchers.delete(watcher);
    if (task.watchers.size === 0 && this.#tasks.get(task.id) === task) this.#tasks.delete(task.id);
    const left = (this.#streams.get(watcher.id) ?? 1) - 1;
    if (left > 0) this.#streams.set(watcher.id, left);
    else this.#streams.delete(watcher.id);
    if (this.#tasks.size === 0) this.#bell.ring();
  }

  async #run(): Promise<void> {
    this.#running = true;
    while (this.#tasks.size > 0) {
      await this.#bell.wait(lookMs);
      try {
        await this.#look();
        this.#failing = false;
      } catch (error) {
        // Viewers wait: what they missed is read when the database is back.
        if (!this.#failing) this.#deps.log.warn("live views wait", { cause: String(error) });
        this.#failing = true;
      }
      await new Promise((resolve) => setTimeout(resolve, restMs));
    }
    this.#running = false;
  }

  async #look(): Promise<void> {
    this.#keepDoors();
    const looked = [...this.#tasks.values()].map((task) => ({ task, watchers: [...task.watchers] }));
    if (looked.length === 0) return;
    if (performance.now() - this.#doorsAt >= doorsMs) await this.#askDoors();
    const states = await listTaskStates(this.#deps.sql, looked.map(({ task }) => task.id));
    const byId = new Map(states.map((state) => [state.id, state]));
    const left = looked.values();
    await Promise.all(Array.from({ length: lanes }, async () => {
      for (const { task, watchers } of left) {
        const state = byId.get(task.id);
        if (state) await task.advance(state, watchers);
        else for (const { client } of watchers) client.end(byeText("deleted"));
      }
    }));
  }

  /** Ends what has run out, and keeps the others from seeming dead. */
  #keepDoors(): void {
    const now = Date.now();
    for (const { client, expiresAt } of this.#watchers()) {
      if (expiresAt !== null && now >= expiresAt) client.end(byeText("expired"));
      else client.keepAlive();
    }
  }

  /** Who was signed out, disabled or had their link revoked sees no more. */
  async #askDoors(): Promise<void> {
    this.#doorsAt = performance.now();
    const watchers = this.#watchers();
    const doors = new Map(watchers.map(({ door }) => [door.id, door]));
    const shut = new Set(await listShutDoors(this.#deps.sql, [...doors.values()]));
    for (const { client, door } of watchers) if (shut.has(door.id)) client.end(byeText("revoked"));
  }
}
