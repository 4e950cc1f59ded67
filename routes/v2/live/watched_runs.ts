/**
 * All runs at once: their counts, rate, remaining time and raters, for the list of runs.
 *
 * A subscription is `new` until the first `advance()` that includes it, which sends it every watched run. Then it is
 * `joined` and receives the runs that changed. Nothing is replayed: a client that comes back receives every run again.
 */
import { type ActiveTask, listActiveTasks, listRecentRaters } from "../../../db/views/activity.ts";
import { readProgress } from "../../../db/views/task_detail.ts";
import type { Sql } from "../../../db/pg/connect.ts";
import { estimateRemaining, rateSeconds } from "../tasks/task_detail.ts";
import { eventText } from "./event_client.ts";
import type { Subscription } from "./watched_task.ts";

/** Minimum time between two reads. */
const readMs = 1_000;
/** Number of newest runs that are watched besides the open ones. */
const newestMax = 100;
/** Time in seconds for which someone who rated counts as rating. */
const raterSeconds = 600;
const ratersReadMs = 3_000;
/** Minimum time between two reports of a run in which only its rate and remaining time have changed. */
const rateMs = 5_000;

/** Number of cells that had ended at a time by `performance.now()`. */
interface Sample {
  at: number;
  ended: number;
}

interface Rater {
  name: string | null;
  ratings: number;
}

const countEnded = ({ completed, failed }: ActiveTask): number => completed + failed;
const isOpen = ({ status }: ActiveTask): boolean => status === "pending" || status === "processing";

function countsOf({ total, completed, failed, cancelled, running }: ActiveTask) {
  const open = total - completed - failed - cancelled;
  const processing = Math.min(running, open);
  return { total, pending: open - processing, processing, completed, failed, cancelled };
}

/** Cells of one run that ended within the window of the rate. */
class Pace {
  #samples: Sample[];

  constructor(first: Sample) {
    this.#samples = [first];
  }

  /** Adds the present count and returns the cells and seconds of the window. */
  add(task: ActiveTask): { recent: number; window_seconds: number } {
    const at = performance.now();
    const ended = countEnded(task);
    const last = this.#samples.at(-1)!;
    // A retry takes cells back.
    if (ended < last.ended) this.#samples = [{ at, ended }];
    else if (ended > last.ended) this.#samples.push({ at, ended });
    while (this.#samples.length > 1 && this.#samples[1]!.at < at - rateSeconds * 1000) this.#samples.shift();
    const first = this.#samples[0]!;
    const sinceFirst = Math.max(1, (at - first.at) / 1000);
    const seconds = Math.min(rateSeconds, sinceFirst, task.started_seconds ?? sinceFirst);
    return { recent: ended - first.ended, window_seconds: seconds };
  }
}

/** A run as it was last sent. */
interface Sent {
  /** What is sent at once if it changes. */
  facts: string;
  at: number;
  text: object;
}

export class WatchedRuns {
  readonly subscriptions = new Set<Subscription>();
  readonly #sql: Sql;
  readonly #paces = new Map<string, Pace>();
  readonly #sent = new Map<string, Sent>();
  #raters = new Map<string, Rater[]>();
  #readAt = -Infinity;
  #ratersReadAt = -Infinity;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Returns the events for a client that missed some. */
  resync(): Uint8Array[] {
    return [
      eventText("runs", { runs: [...this.#sent.values()].map(({ text }) => text), deleted: [], all: true }),
    ];
  }

  /** Reads the runs and sends what changed to `subscriptions`: those that existed before. */
  async advance(subscriptions: Subscription[]): Promise<void> {
    const hasNew = subscriptions.some(({ joined }) => !joined);
    const now = performance.now();
    if (!hasNew && now - this.#readAt < readMs) return;
    this.#readAt = now;
    const tasks = await listActiveTasks(this.#sql, { newest: newestMax, ids: [...this.#sent.keys()] });
    if (now - this.#ratersReadAt >= ratersReadMs) await this.#readRaters();
    await this.#findPaces(tasks);
    const { changed, deleted } = this.#compare(tasks);
    const isQuiet = changed.length === 0 && deleted.length === 0;
    const news = isQuiet ? undefined : eventText("runs", { runs: changed, deleted, all: false });
    for (const subscription of subscriptions) {
      if (!subscription.joined) { for (const text of this.resync()) subscription.client.push(text); }
      else if (news) subscription.client.push(news);
      subscription.joined = true;
    }
    this.#forgetOld(tasks);
  }

  async #readRaters(): Promise<void> {
    this.#ratersReadAt = performance.now();
    const raters = new Map<string, Rater[]>();
    for (const { task_id, name, ratings } of await listRecentRaters(this.#sql, raterSeconds)) {
      raters.set(task_id, [...raters.get(task_id) ?? [], { name, ratings }]);
    }
    this.#raters = raters;
  }

  /** Reads the window of each open run that is new here from its cells; later the counts are enough. */
  async #findPaces(tasks: ActiveTask[]): Promise<void> {
    for (const task of tasks) {
      if (this.#paces.has(task.id) || !isOpen(task) || countEnded(task) === 0) continue;
      const { recent, window_seconds } = await readProgress(this.#sql, task.id, rateSeconds);
      const at = performance.now() - window_seconds * 1000;
      this.#paces.set(task.id, new Pace({ at, ended: countEnded(task) - recent }));
    }
  }

  #describe(task: ActiveTask) {
    const { id, revision, status, hold } = task;
    const cells = countsOf(task);
    const progress = isOpen(task) ? this.#paces.get(id)?.add(task) : undefined;
    const { recent = 0, window_seconds = 1 } = progress ?? {};
    const eta = estimateRemaining({ ...cells, recent, window_seconds });
    return {
      id,
      revision,
      status,
      hold,
      cells,
      raters: this.#raters.get(id) ?? [],
      per_minute: progress ? Math.round(600 * recent / Math.max(window_seconds, 1)) / 10 : null,
      eta: progress && hold === null ? eta : null,
    };
  }

  /** Returns the runs to send, and records them as sent. */
  #compare(tasks: ActiveTask[]): { changed: object[]; deleted: string[] } {
    const now = performance.now();
    const changed: object[] = [];
    for (const task of tasks) {
      const run = this.#describe(task);
      const { per_minute: _, eta: __, ...rest } = run;
      const facts = JSON.stringify(rest);
      const before = this.#sent.get(task.id);
      const isDue = isOpen(task) && before !== undefined && now - before.at >= rateMs &&
        JSON.stringify(before.text) !== JSON.stringify(run);
      if (before?.facts === facts && !isDue) continue;
      this.#sent.set(task.id, { facts, at: now, text: run });
      changed.push(run);
    }
    const present = new Set(tasks.map(({ id }) => id));
    const deleted = [...this.#sent.keys()].filter((id) => !present.has(id));
    for (const id of deleted) this.#sent.delete(id);
    return { changed, deleted };
  }

  /** Forgets ended runs beyond the newest, whose end has been sent. */
  #forgetOld(tasks: ActiveTask[]): void {
    for (const task of tasks) if (!isOpen(task)) this.#paces.delete(task.id);
    const ended = tasks.filter((task) => !isOpen(task)).map(({ id }) => id);
    for (const id of ended.slice(0, Math.max(0, ended.length - newestMax))) this.#sent.delete(id);
  }
}
