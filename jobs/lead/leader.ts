/** The duties of one worker for the whole fleet: feeding, reconciling, scaling, sending notices. */
import type { Sql } from "../../db/pg/connect.ts";
import type { Queue } from "../../db/queue/subtasks.ts";
import { acquireLeaderLease, readFleet, releaseLeaderLease } from "../../db/queue/workers.ts";
import { deadAfterMs, dutiesMs, leaderLeaseMs, renewMs, takeOverAfterMs } from "../../db/queue/times.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import { Bell } from "../../bell.ts";
import { choresMs, runChores } from "./chores.ts";
import type { Feed } from "./feed.ts";
import { forgetMeasures, measureMs, showMeasures } from "./measure.ts";
import { reconcile } from "./reconcile.ts";
import { Scaler } from "../slots/scaler.ts";
import { wait } from "../../wait.ts";
import type { ScaleRule } from "../slots/scale_rules.ts";

export interface LeaderDeps {
  sql: Sql;
  log: Log;
  metrics: Metrics;
  feed: Feed;
  rules: Record<Queue, ScaleRule>;
  /** Rung when there may be subtasks to feed. */
  bell: Bell;
  workerId: () => string;
  /** Returns the time in milliseconds for which all heartbeats of this worker succeeded. */
  steadyMs: () => number;
  /** Called after entries were added to streams. */
  onFed: (queues: Queue[]) => void;
  /** Called after each run of the feed. */
  onFeedRun: () => void;
  /** Sends the notices and webhooks that are due. */
  sendNotices: () => Promise<unknown>;
}

const role = "queue";
/**
 * Maximum number of rounds of notices at once. A notice that one round has claimed is not due for the others.
 */
const noticeRoundsMax = 8;
/** Pause after feeding in any case, which bounds the load on PostgreSQL. */
const feedPauseMsMin = 10;
/** Minimum time between two rounds of duties, however soon the next worker becomes silent. */
const dutiesMsMin = 100;

/**
 * Acquires the leader lease when it is free and carries out the duties while it is held.
 *
 * States: following, leading, stopped. Moves:
 * - `#renew` makes a follower the leader when the lease is free, with a new term.
 * - `#renew` makes the leader a follower when another worker holds the lease, or when PostgreSQL does not
 *   answer.
 * - `stop` ends the loops; `run` then releases the lease.
 *
 * Four loops run side by side, so that none delays another: the lease, the duties, the feed, and the notices.
 */
export class Leader {
  readonly #deps: LeaderDeps;
  #stopping = false;
  #term: number | undefined;
  readonly #failing = new Set<string>();
  #noticeRounds = 0;
  #choresDueAt = -Infinity;
  #measureDueAt = -Infinity;
  /** Time of the next duties: earlier if a worker becomes silent or dead, should none send a heartbeat. */
  #dutiesDueAt = Infinity;
  readonly #leaseBell = new Bell();
  readonly #dutiesBell = new Bell();
  readonly #noticeBell = new Bell();
  /** Rung when a task was submitted. */
  readonly #newTaskBell = new Bell();
  #slots = new Map<Queue, number>();
  readonly #scaler: Scaler;

  constructor(deps: LeaderDeps) {
    this.#deps = deps;
    this.#scaler = new Scaler(deps);
  }

  get isLeading(): boolean {
    return this.#term !== undefined;
  }

  stop(): void {
    this.#stopping = true;
    this.wakeFeed();
    this.#leaseBell.ring();
    this.#dutiesBell.ring();
    this.#noticeBell.ring();
  }

  /** Ends a pause or a wait of the feed, after a task was submitted or when the worker stops. */
  wakeFeed(): void {
    this.#newTaskBell.ring();
    this.#deps.bell.ring();
  }

  /** Runs until `stop`, leading whenever the lease is free. */
  async run(): Promise<void> {
    await Promise.all([this.#runLease(), this.#runDuties(), this.#runFeed(), this.#runNotices()]);
    await releaseLeaderLease(this.#deps.sql, role, this.#deps.workerId()).catch(() => {});
  }

  async #runLease(): Promise<void> {
    while (!this.#stopping) {
      await this.#try("lead", () => this.#renew());
      await this.#leaseBell.wait(this.isLeading ? renewMs : dutiesMs);
    }
  }

  async #runDuties(): Promise<void> {
    while (!this.#stopping) {
      if (this.isLeading) await this.doDuties();
      else this.#forgetMeasures();
      const dueMs = this.isLeading ? this.#dutiesDueAt - performance.now() : dutiesMs;
      if (!this.#stopping) await this.#dutiesBell.wait(Math.max(dutiesMsMin, dueMs));
    }
  }

  async #runFeed(): Promise<void> {
    while (!this.#stopping) {
      const fed = this.isLeading ? await this.#try("feed", () => this.#deps.feed.runOnce(this.#slots)) : [];
      if (this.isLeading) this.#deps.onFeedRun();
      if (fed && fed.length > 0) {
        this.#deps.onFed(fed);
        await wait(feedPauseMsMin);
        await this.#newTaskBell.wait(Math.max(0, this.#deps.feed.pauseMs - feedPauseMsMin));
      }
      if (!this.#stopping) await this.#deps.bell.wait(dutiesMs);
    }
  }

  /** Starts a round of notices each second. A round that waits for a slow receiver delays no other round. */
  async #runNotices(): Promise<void> {
    while (!this.#stopping) {
      if (this.isLeading && this.#noticeRounds < noticeRoundsMax) {
        this.#noticeRounds++;
        void this.#try("notices", this.#deps.sendNotices).finally(() => this.#noticeRounds--);
      }
      await this.#noticeBell.wait(dutiesMs);
    }
  }

  /** Carries out a duty. A failure does not stop the other duties; the first one in a row is logged. */
  async #try<T>(duty: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await work();
      this.#failing.delete(duty);
      return answer;
    } catch (error) {
      if (!this.#failing.has(duty)) {
        this.#deps.log.warn("a duty failed and will be repeated", { duty, cause: String(error) });
      }
      this.#failing.add(duty);
    }
  }

  /** Acquires or renews the leader lease. */
  async #renew(): Promise<void> {
    const { sql, log, feed, bell, workerId } = this.#deps;
    const term = await acquireLeaderLease(sql, role, workerId(), leaderLeaseMs).catch((error) => {
      this.#term = undefined;
      throw error;
    });
    if (term !== undefined && term !== this.#term) {
      log.info("leading", { term });
      feed.forget();
      this.#slots = (await readFleet(sql)).slots;
      this.#dutiesBell.ring();
      bell.ring();
    }
    this.#term = term;
  }

  /**
   * Reads the workers, and plans the next duties: when a worker becomes silent or dead.
   *
   * @returns the age of the oldest heartbeat, as far as it can be judged
   */
  async #observeFleet(): Promise<number> {
    const { slots, heartbeatAges } = await readFleet(this.#deps.sql);
    this.#slots = slots;
    const dueMs = heartbeatAges.flatMap((age) => [takeOverAfterMs - age, deadAfterMs - age]);
    this.#dutiesDueAt = performance.now() + Math.min(dutiesMs, ...dueMs.filter((ms) => ms > 0));
    // While PostgreSQL was unavailable no worker could send a heartbeat. Afterwards each gets the full time for
    // one.
    return Math.min(Math.max(0, ...heartbeatAges), this.#deps.steadyMs());
  }

  async #doChores(): Promise<void> {
    const deleted = await runChores(this.#deps.sql);
    if (Object.keys(deleted).length > 0) this.#deps.log.info("expired rows deleted", deleted);
  }

  #forgetMeasures(): void {
    if (this.#measureDueAt === -Infinity) return;
    this.#measureDueAt = -Infinity;
    forgetMeasures(this.#deps.metrics);
  }

  /** Reconciles, scales, measures, and runs the chores when they are due. */
  async doDuties(): Promise<void> {
    const { bell } = this.#deps;
    this.#dutiesDueAt = performance.now() + dutiesMs;
    const silenceMs = await this.#try("slots", () => this.#observeFleet());
    const repaired = await this.#try("reconcile", () => reconcile(this.#deps, silenceMs ?? 0));
    if (repaired) bell.ring();
    await this.#try("scale", () => this.#scaler.runOnce());
    if (performance.now() >= this.#measureDueAt) {
      this.#measureDueAt = performance.now() + measureMs;
      await this.#try("measure", () => showMeasures(this.#deps));
    }
    if (performance.now() < this.#choresDueAt) return;
    this.#choresDueAt = performance.now() + choresMs;
    await this.#try("chores", () => this.#doChores());
  }
}
