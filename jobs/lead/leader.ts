/** What one worker of the fleet does for all: feeds, reconciles, scales, tells. */
import type { Sql } from "../../db/pg/connect.ts";
import type { Queue } from "../../db/queue/subtasks.ts";
import { leaveLead, sumSlots, takeLead } from "../../db/queue/workers.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import { Bell } from "../../bell.ts";
import { choresMs, runChores } from "./chores.ts";
import type { Feed } from "./feed.ts";
import { reconcile } from "./reconcile.ts";
import { Scaler } from "../slots/scale_duty.ts";
import type { ScaleRule } from "../slots/scaler.ts";

export interface LeaderDeps {
  sql: Sql;
  log: Log;
  metrics: Metrics;
  feed: Feed;
  rules: Record<Queue, ScaleRule>;
  /** Rung when there is something to feed. */
  bell: Bell;
  workerId: () => string;
  /** For how long this worker's own signs of life have all arrived. */
  steadyMs: () => number;
  /** Told after entries were added. */
  onFed: (queues: Queue[]) => void;
  /** Sends the notices that are due. */
  tell: () => Promise<unknown>;
}

const role = "queue";
export const deadAfterMs = 6_000;
const leaseMs = 3_000;
const dutiesMs = 1_000;
/** Rounds of notices under way at once; what one has taken is not due for the others. */
const roundsMax = 8;
/** Feeding more often than this would only ask PostgreSQL more. */
const feedPauseMs = 10;

export class Leader {
  readonly #deps: LeaderDeps;
  #stopping = false;
  #term: number | undefined;
  readonly #failing = new Set<string>();
  #telling = 0;
  #choresDueMs = -Infinity;
  readonly #clock = new Bell();
  readonly #noticeClock = new Bell();
  #slots = new Map<Queue, number>();
  readonly #scaler: Scaler;

  constructor(deps: LeaderDeps) {
    this.#deps = deps;
    this.#scaler = new Scaler(deps);
  }

  get leads(): boolean {
    return this.#term !== undefined;
  }

  stop(): void {
    this.#stopping = true;
    this.#deps.bell.ring();
    this.#clock.ring();
    this.#noticeClock.ring();
  }

  /** Leads whenever nobody else does, until it is stopped. */
  async run(): Promise<void> {
    await Promise.all([this.#runDuties(), this.#runFeed(), this.#runNotices()]);
    await leaveLead(this.#deps.sql, role, this.#deps.workerId()).catch(() => {});
  }

  async #runDuties(): Promise<void> {
    while (!this.#stopping) {
      await this.#try("lead", () => this.#renew());
      if (this.leads) await this.doDuties();
      await this.#clock.wait(dutiesMs);
    }
  }

  async #runFeed(): Promise<void> {
    while (!this.#stopping) {
      const fed = this.leads ? await this.#try("feed", () => this.#deps.feed.runOnce(this.#slots)) : [];
      if (fed && fed.length > 0) {
        this.#deps.onFed(fed);
        await new Promise((resolve) => setTimeout(resolve, feedPauseMs));
      }
      if (!this.#stopping) await this.#deps.bell.wait(dutiesMs);
    }
  }

  /** In a loop of its own; a round that waits for a silent address holds up neither duties nor the next round. */
  async #runNotices(): Promise<void> {
    while (!this.#stopping) {
      if (this.leads && this.#telling < roundsMax) {
        this.#telling++;
        void this.#try("notices", this.#deps.tell).finally(() => this.#telling--);
      }
      await this.#noticeClock.wait(dutiesMs);
    }
  }

  /** One duty that fails must not keep the others from being done; said aloud at its first failure in a row. */
  async #try<T>(duty: string, work: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await work();
      this.#failing.delete(duty);
      return answer;
    } catch (error) {
      if (!this.#failing.has(duty)) {
        this.#deps.log.warn("a duty failed, it is tried again", { duty, cause: String(error) });
      }
      this.#failing.add(duty);
    }
  }

  async #renew(): Promise<void> {
    const { sql, log, feed, bell, workerId } = this.#deps;
    const term = await takeLead(sql, role, workerId(), leaseMs).catch((error) => {
      this.#term = undefined;
      throw error;
    });
    if (term !== undefined && term !== this.#term) {
      log.info("leading", { term });
      feed.forget();
      this.#slots = await sumSlots(sql);
      bell.ring();
    }
    this.#term = term;
  }

  async #doChores(): Promise<void> {
    const cleared = await runChores(this.#deps.sql);
    if (Object.keys(cleared).length > 0) this.#deps.log.info("old rows cleared away", cleared);
  }

  /** Reconciles, scales, and clears away. */
  async doDuties(): Promise<void> {
    const { sql, bell } = this.#deps;
    // While PostgreSQL was away nobody could give a sign of life: then nobody is judged before all had time to.
    const canJudge = this.#deps.steadyMs() > deadAfterMs;
    await this.#try("slots", async () => this.#slots = await sumSlots(sql));
    const repaired = await this.#try(
      "reconcile",
      () => reconcile(this.#deps, canJudge ? deadAfterMs : null),
    );
    if (repaired) bell.ring();
    await this.#try("scale", () => this.#scaler.runOnce());
    if (performance.now() < this.#choresDueMs) return;
    this.#choresDueMs = performance.now() + choresMs;
    await this.#try("chores", () => this.#doChores());
  }
}
