/**
 * The shadow: a sample of the old backend's answers to reads is compared with the answers of this system, in the
 * background. Nothing of it delays or changes an answer: what does not fit into the backlog is dropped and counted.
 */
import { hasDotSegments } from "../../comparison/paths.ts";
import { routeOf, targetOf } from "../../comparison/request.ts";
import type { Pool } from "../../db/pg/connect.ts";
import { saveShadowAnswer, saveShadowDifferences } from "../../db/traffic/differences.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import { ShadowBacklog } from "./shadow_backlog.ts";
import {
  type Ask,
  bodyBytesMax,
  type RawAnswer,
  readText,
  type RepeatableRequest,
  toStep,
} from "./shadow_ask.ts";
import {
  compareOnce,
  type Comparison,
  explainByLooks,
  type Explained,
  type Waits,
} from "./shadow_explain.ts";

/** An answer of the old backend with the time at which it was received, in ms since 1970. */
export interface OldAnswer extends RawAnswer {
  at: number;
}

export interface ShadowOptions {
  sql: Pool;
  log: Log;
  metrics: Metrics;
  /** Sends a request to the old backend. */
  askOld: Ask;
  /** Share of the answers that are compared, in percent. */
  percent: number;
  /** Returns a number from 0 up to 1. */
  random?: () => number;
  waits?: Waits;
}

interface Job {
  request: RepeatableRequest;
  old: OldAnswer;
  /** Sends a request to this system. */
  askNew: Ask;
}

/** A job whose comparison found differences that no rule explains. */
interface DifferingJob {
  comparison: Comparison;
  askNew: Ask;
}

const waitsDefault: Waits = { positionMs: 15_000, lookMs: 250, looksMax: 3 };

/** Comparisons that run at once. Looks at differences wait for the sync, and run one after the other. */
const comparersMax = 2;
const targetLengthMax = 200;
const jwt = /eyJ[\w-]+\.[\w-]+\.[\w-]*/g;

export class Shadow implements AsyncDisposable {
  readonly #options: ShadowOptions;
  readonly #stopped = new AbortController();
  readonly #fresh: ShadowBacklog<Job>;
  readonly #differing: ShadowBacklog<DifferingJob>;
  readonly #loops: Promise<void>[];

  constructor(options: ShadowOptions) {
    this.#options = options;
    const { signal } = this.#stopped;
    this.#fresh = new ShadowBacklog(signal);
    this.#differing = new ShadowBacklog(signal);
    this.#loops = [
      ...Array.from({ length: comparersMax }, () => this.#run(this.#fresh, (job) => this.#compare(job))),
      this.#run(this.#differing, (job) => this.#lookAgain(job)),
    ];
  }

  /**
   * Takes an answer of the old backend for comparison, if it is one of the sample.
   *
   * @param askNew sends a request to this system
   * @returns the response to send to the client, with the same bytes
   */
  observe(request: Request, response: Response, askNew: Ask): Response {
    if (!this.#isSampled(request) || response.bodyUsed) return response;
    if (Number(response.headers.get("content-length") ?? 0) > bodyBytesMax) {
      this.#count("dropped");
      return response;
    }
    const { method, url } = request;
    const { status, headers } = response;
    // The client's headers and the answer's are used after both have been sent.
    const repeatable = { method, url, headers: new Headers(request.headers) };
    const received = new Headers(headers);
    const onBody = (body: Uint8Array | undefined) => {
      if (body === undefined) this.#count("dropped");
      else this.enqueue(repeatable, { status, headers: received, body, at: Date.now() }, askNew);
    };
    if (response.body === null) {
      onBody(new Uint8Array());
      return response;
    }
    return new Response(response.body.pipeThrough(copyTo(onBody)), { status, headers });
  }

  /** Takes an answer for comparison, or drops it if the backlog is full. */
  enqueue(request: RepeatableRequest, old: OldAnswer, askNew: Ask): void {
    const isTaken = old.body.length <= bodyBytesMax &&
      this.#fresh.add({ request, old, askNew }, old.body.length);
    if (!isTaken) this.#count("dropped");
  }

  #isSampled(request: Request): boolean {
    const { percent, random = Math.random } = this.#options;
    if (request.method !== "GET" || random() * 100 >= percent) return false;
    const step = toStep(request, true);
    return !hasDotSegments(step.path) && !routeOf(step).endsWith("(no route)");
  }

  #count(outcome: "equal" | "different" | "dropped"): void {
    this.#options.metrics.frontShadow.inc({ outcome });
  }

  async #run<J>(backlog: ShadowBacklog<J>, work: (job: J) => Promise<void>): Promise<void> {
    for await (const job of backlog) {
      try {
        await work(job);
      } catch (error) {
        this.#count("dropped");
        this.#options.log.warn("an answer was not compared", { error: String(error) });
      }
    }
  }

  #systems(askNew: Ask) {
    const { sql, askOld, waits = waitsDefault } = this.#options;
    return { sql, askOld, askNew, waits, signal: this.#stopped.signal };
  }

  async #compare({ request, old, askNew }: Job): Promise<void> {
    const answer = await readText(old);
    const comparison = answer && await compareOnce(this.#systems(askNew), request, answer);
    if (comparison === undefined) return this.#count("dropped");
    if (comparison.unexplained.length === 0) return await this.#save(request, comparison.explained);
    if (!this.#differing.add({ comparison, askNew }, 0)) this.#count("dropped");
  }

  async #lookAgain({ comparison, askNew }: DifferingJob): Promise<void> {
    const more = await explainByLooks(this.#systems(askNew), comparison);
    if (more === undefined) return this.#count("dropped");
    await this.#save(comparison.request, [...comparison.explained, ...more]);
  }

  async #save(request: RepeatableRequest, explained: Explained[]): Promise<void> {
    const { sql, metrics } = this.#options;
    if (this.#stopped.signal.aborted) return;
    const isEqual = explained.length === 0;
    const target = targetOf(toStep(request, true)).replace(jwt, "<jwt>").slice(0, targetLengthMax);
    await saveShadowDifferences(sql, explained.map((one) => ({ ...one, target })));
    await saveShadowAnswer(sql, isEqual);
    this.#count(isEqual ? "equal" : "different");
    for (const { cause } of explained) metrics.frontShadowDifferences.inc({ cause });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#loops);
  }
}

/** Passes bytes on, and calls `onEnd` with all of them, or with undefined when they are too many. */
function copyTo(onEnd: (body: Uint8Array | undefined) => void): TransformStream<Uint8Array, Uint8Array> {
  let chunks: Uint8Array[] | undefined = [];
  let length = 0;
  return new TransformStream({
    transform(chunk, controller) {
      length += chunk.length;
      if (length > bodyBytesMax) chunks = undefined;
      // The receiver may take the chunk's memory over.
      chunks?.push(chunk.slice());
      controller.enqueue(chunk);
    },
    flush() {
      if (chunks === undefined) return onEnd(undefined);
      const body = new Uint8Array(length);
      let at = 0;
      for (const chunk of chunks) {
        body.set(chunk, at);
        at += chunk.length;
      }
      onEnd(body);
    },
  });
}

/** Opens the shadow of a front. It works until its disposal. */
export const createShadow = (options: ShadowOptions): Shadow => new Shadow(options);
