/** The executor of the played old backend: takes pending subtasks, "draws" them, and stores their outcome. */
import type { Document } from "mongodb";
import { findAll, type Store } from "./store.ts";
import { recountTask } from "./task_writes.ts";
import { formatResultTime, toNumber, whole } from "./values.ts";

export interface ExecutorOptions {
  /** Subtasks under way at once. */
  slots?: number;
  /** Duration of an attempt. */
  attemptMs?: number;
  /** Share of attempts that fail. */
  failShare?: number;
}

const attemptsMax = 2;
const idleMs = 50;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

export class Executor {
  readonly #options: Required<ExecutorOptions>;
  readonly #underWay = new Set<Promise<void>>();
  readonly #claimed = new Set<string>();
  /** Tasks whose counters are to be stored. */
  readonly #changed = new Set<string>();
  #isTaking = false;
  #isEnded = false;
  #running: Promise<void> = Promise.resolve();

  constructor(readonly store: Store, options: ExecutorOptions = {}) {
    this.#options = Object.assign({ slots: 10, attemptMs: 100, failShare: 0.05 }, options);
  }

  /** Number of subtasks under way. */
  get underWay(): number {
    return this.#underWay.size;
  }

  /** Begins to take subtasks. */
  start(): void {
    this.#isTaking = true;
    this.#isEnded = false;
    this.#running = this.#run();
  }

  /** Takes no further subtasks, and waits until nothing is under way and all counters are stored. */
  async drain(): Promise<void> {
    this.#isTaking = false;
    while (this.#underWay.size > 0 || this.#changed.size > 0) await pause(idleMs / 5);
  }

  /** Ends as a killed process does: what is under way stays `processing`. */
  async stop(): Promise<void> {
    this.#isTaking = false;
    this.#isEnded = true;
    await this.#running;
    await Promise.allSettled(this.#underWay);
  }

  async #run(): Promise<void> {
    while (!this.#isEnded) {
      try {
        const taken = this.#isTaking ? await this.#take() : 0;
        await this.#recount();
        if (taken === 0) await pause(idleMs);
      } catch {
        // The database is not available. The work goes on afterwards.
        await pause(idleMs);
      }
    }
  }

  async #take(): Promise<number> {
    const free = this.#options.slots - this.#underWay.size;
    if (free <= 0) return 0;
    const pending = await findAll(this.store.subtasks, { status: "pending" }, {
      sort: { _id: 1 },
      limit: free + this.#claimed.size,
    });
    const fresh = pending.filter(({ _id }) => !this.#claimed.has(String(_id))).slice(0, free);
    for (const subtask of fresh) {
      const key = String(subtask._id);
      this.#claimed.add(key);
      const work = this.#draw(subtask).catch(() => {}).finally(() => {
        this.#claimed.delete(key);
        this.#underWay.delete(work);
      });
      this.#underWay.add(work);
    }
    return fresh.length;
  }

  /** Repeats a write until it is acknowledged. */
  async #write(_id: unknown, change: Document): Promise<void> {
    while (!this.#isEnded) {
      try {
        await this.store.subtasks.updateOne({ _id: _id as never }, change);
        return;
      } catch {
        await pause(idleMs);
      }
    }
  }

  async #draw({ _id, parent_task_id, seed, retry_count }: Document): Promise<void> {
    const { attemptMs, failShare } = this.#options;
    await this.store.subtasks.updateOne({ _id, status: "pending" }, {
      $set: { status: "processing", updated_at: new Date() },
    });
    await this.store.tasks.updateOne({ id: parent_task_id, status: "pending" }, {
      $set: { status: "processing", updated_at: new Date() },
    });
    const before = toNumber(retry_count);
    for (let attempt = 1; attempt <= attemptsMax && !this.#isEnded; attempt++) {
      await pause(attemptMs * (0.5 + Math.random()));
      if (this.#isEnded) return;
      const now = new Date();
      if (Math.random() >= failShare) {
        const result = {
          url: `https://img.example.com/${crypto.randomUUID()}.webp`,
          width: whole(1024),
          height: whole(1024),
          seed,
          created_at: formatResultTime(now),
        };
        await this.#write(_id, { $set: { status: "completed", result, updated_at: now } });
        break;
      }
      const status = attempt === attemptsMax ? "failed" : "processing";
      await this.#write(_id, {
        $set: { status, error: "任务失败", retry_count: whole(before + attempt), updated_at: now },
      });
    }
    this.#changed.add(String(parent_task_id));
  }

  async #recount(): Promise<void> {
    for (const id of [...this.#changed]) {
      this.#changed.delete(id);
      try {
        await recountTask(this.store, id);
      } catch (error) {
        this.#changed.add(id);
        throw error;
      }
    }
  }
}
