/**
 * The front: decides which system answers a request of v1 while the traffic moves from the old backend to this system.
 *
 * | phase | reads | writes |
 * |---|---|---|
 * | `old`, `shadow` | the old backend | the old backend |
 * | `canary` | a share of the users: this system, all others: the old backend | the old backend |
 * | `holding` | as before | wait, at most HOLD_MS |
 * | `new` | this system | this system |
 *
 * A write is admitted only by a phase that was confirmed within two seconds. Between its admission and the moment it
 * counts as in flight nothing is awaited, so that an acknowledged phase has no uncounted writes.
 */
import type { Pool } from "../../db/pg/connect.ts";
import { canServeReads } from "../../db/traffic/processes.ts";
import type { Phase, Traffic } from "../../db/traffic/traffic.ts";
import { AppError } from "../../errors.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import { addCors } from "../common/cors.ts";
import { failpoint } from "./failpoint.ts";
import { PhaseWatch } from "./phase_watch.ts";
import { type OldBackend, OldBackendError } from "./proxy.ts";
import type { Shadow } from "./shadow.ts";
import { bucketOf, userKeyOf } from "./user.ts";
import { UserWrites } from "./user_writes.ts";

/** An answer with the route that is counted and logged. */
export interface FrontAnswer {
  response: Response;
  route: string;
}

/** Answers a request by this system. */
export type Handle = (request: Request) => Promise<FrontAnswer>;

export interface FrontOptions {
  sql: Pool;
  log: Log;
  metrics: Metrics;
  old: OldBackend;
  watch: PhaseWatch;
  holdMs: number;
  origins: readonly string[];
  shadow: Shadow;
}

/** Route that the log and the metrics show for answers of the old backend, and of the front itself. */
const oldRoute = "(old backend)";
const heldRoute = "(held)";
const awayRoute = "(old backend away)";
/** The system that answered, by route. All other routes are this system's. */
const systems = new Map([[oldRoute, "old"], [heldRoute, "none"], [awayRoute, "none"]]);

const readMethods = new Set(["GET", "HEAD", "OPTIONS"]);
const loginPath = /^https?:\/\/[^/]*\/api\/v1\/auth\/login\/?(?:\?|$)/;

/** Stands for the answer of a write that was not sent to the old backend, because it was not noted. */
const unnoted = Symbol("unnoted");
/** Time after which the note of a write is tried again. */
const noteAgainMs = 100;

/** A login changes nothing, so it need not wait for a switch. */
const isRead = ({ method, url }: Request): boolean => readMethods.has(method) || loginPath.test(url);

export class Front {
  readonly #userWrites: UserWrites;

  constructor(readonly options: FrontOptions) {
    this.#userWrites = new UserWrites(options.sql, options.log);
  }

  /**
   * Answers a request.
   *
   * @param peer address of the client
   * @param handle answers by this system
   */
  async answer(request: Request, peer: string, handle: Handle): Promise<FrontAnswer> {
    const { watch, metrics } = this.options;
    const answer = isRead(request)
      ? await this.#answerRead(request, peer, handle)
      : await this.#answerWrite(request, peer, handle);
    const system = systems.get(answer.route) ?? "new";
    metrics.frontRequests.inc({ phase: watch.traffic?.phase ?? "unknown", system });
    return answer;
  }

  async #answerRead(request: Request, peer: string, handle: Handle): Promise<FrontAnswer> {
    const { watch, shadow } = this.options;
    const { traffic } = watch;
    if (traffic !== undefined && await this.#isOurs(traffic, request)) {
      failpoint("front.read_ours");
      return await handle(request);
    }
    failpoint("front.read_proxied");
    const answer = await this.#proxy(request, peer, () => {});
    if (traffic?.phase !== "shadow" || answer.route !== oldRoute) return answer;
    const askNew = async (request: Request) => (await handle(request)).response;
    return { response: shadow.observe(request, answer.response, askNew), route: answer.route };
  }

  /** Reports whether this system answers a read. */
  async #isOurs(traffic: Traffic, request: Request): Promise<boolean> {
    const phase = traffic.phase === "holding" ? traffic.phase_before : traffic.phase;
    if (phase === "new") return true;
    if (phase !== "canary" || request.method === "OPTIONS") return false;
    const userKey = userKeyOf(request.headers);
    if (userKey === undefined || bucketOf(userKey) >= traffic.share) return false;
    return await canServeReads(this.options.sql, userKey).catch(() => false);
  }

  /** Notes a write of a user before the old backend can get it, and answers it when its phase admits it. */
  async #answerWrite(request: Request, peer: string, handle: Handle): Promise<FrontAnswer> {
    const { watch, holdMs } = this.options;
    const { signal } = request;
    const until = performance.now() + holdMs;
    const userKey = userKeyOf(request.headers);
    let isNoted = userKey === undefined;
    try {
      do {
        if (!isNoted && watch.traffic?.phase !== "new") isNoted = await this.#userWrites.begin(userKey!);
        const answer = await this.#admit(signal, async (phase) => {
          if (phase === "new") return await this.#count(() => handle(request));
          return isNoted ? await this.#write(request, peer) : unnoted;
        }, until);
        if (answer === undefined) break;
        if (answer !== unnoted) return answer;
        // PostgreSQL did not take the note, or the phase has just changed: the next look shows which.
        await watch.wait(Math.min(noteAgainMs, until - performance.now()));
      } while (performance.now() < until);
      return { response: this.#refuse(request, 503), route: heldRoute };
    } finally {
      if (userKey !== undefined && isNoted) {
        await this.#userWrites.end(userKey);
        failpoint("front.write_noted");
      }
    }
  }

  /**
   * Runs a write when a confirmed phase admits it. The write must count itself as in flight before it awaits anything.
   *
   * @param until time after which it is refused, as `performance.now()`
   * @returns undefined after that, or when the client has left
   */
  async #admit<T>(
    signal: AbortSignal,
    write: (phase: Phase) => Promise<T>,
    until = performance.now() + this.options.holdMs,
  ): Promise<T | undefined> {
    do {
      if (!await this.#waitForPhase(signal, until)) return undefined;
      // The phase may have changed on the way back from the wait. From here to the count nothing is awaited.
    } while (this.#isHeld());
    failpoint("front.write_admitted");
    return await write(this.options.watch.traffic!.phase);
  }

  /** Counts a write to this system as in flight, for the way back. */
  async #count<T>(write: () => Promise<T>): Promise<T> {
    const { watch } = this.options;
    watch.writesInFlight++;
    failpoint("front.write_ours");
    try {
      return await write();
    } finally {
      failpoint("front.write_ours_done");
      watch.writesInFlight--;
    }
  }

  /**
   * Runs a change of users or tasks by v2, after a switch that is under way.
   *
   * @throws AppError before_cutover while the old backend is in charge; busy when the switch takes too long
   */
  async change(signal: AbortSignal, work: () => Promise<void>): Promise<void> {
    const isDone = await this.#admit(signal, async (phase) => {
      if (phase !== "new") {
        throw new AppError(
          "before_cutover",
          "changing users and tasks: the old backend is in charge of them until the switch; use its pages until then",
        );
      }
      await this.#count(work);
      return true;
    });
    if (isDone === undefined) {
      throw new AppError("busy", "the traffic is being switched to this system; try again in a second");
    }
  }

  #isHeld(): boolean {
    const { watch } = this.options;
    return !watch.isConfirmed() || watch.traffic!.phase === "holding";
  }

  /** Waits for a confirmed phase other than `holding`. @returns false after `until`, or when the client has left */
  async #waitForPhase(signal: AbortSignal, until: number): Promise<boolean> {
    const { watch, metrics } = this.options;
    if (!this.#isHeld()) return true;
    const begunAt = performance.now();
    watch.writesHeld++;
    metrics.frontHeldWrites.inc();
    failpoint("front.write_waits");
    try {
      while (this.#isHeld()) {
        const left = until - performance.now();
        if (left <= 0 || signal.aborted) return false;
        await watch.wait(left);
      }
      failpoint("front.write_released");
      return true;
    } finally {
      watch.writesHeld--;
      metrics.frontHeldWrites.dec();
      metrics.frontHoldSeconds.observe((performance.now() - begunAt) / 1000);
    }
  }

  /** Sends a write to the old backend. It is in flight until its answer has ended. */
  async #write(request: Request, peer: string): Promise<FrontAnswer> {
    const { watch } = this.options;
    watch.writesInFlight++;
    failpoint("front.write_counted");
    const answer = await this.#proxy(request, peer, () => watch.writesInFlight--);
    failpoint("front.write_answered");
    return answer;
  }

  async #proxy(request: Request, peer: string, onEnd: () => void): Promise<FrontAnswer> {
    const { old, log, metrics } = this.options;
    try {
      return { response: await old.send(request, peer, onEnd), route: oldRoute };
    } catch (error) {
      if (!(error instanceof OldBackendError)) throw error;
      metrics.frontProxyFailures.inc();
      log.warn("the old backend did not answer", { reason: error.reason });
      return { response: this.#refuse(request, 502), route: awayRoute };
    }
  }

  /** Answers as v1 does, so that the page shows the sentence and the browser may try again. */
  #refuse(request: Request, status: 502 | 503): Response {
    const headers = new Headers({
      "content-type": "application/json",
      "retry-after": status === 502 ? "2" : "1",
    });
    addCors(request, headers, this.options.origins);
    const detail = status === 502 ? "服务暂时不可用，请稍后重试" : "系统正在切换，请稍后重试";
    return new Response(JSON.stringify({ detail }), { status, headers });
  }
}
