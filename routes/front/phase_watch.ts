/**
 * The phase of the traffic as one process knows it. Each look reads the phase and stores what the process works by. A
 * process whose last look is too old serves no writes, because the phase may have changed without its knowledge.
 */
import type { Pool } from "../../db/pg/connect.ts";
import { digestKey, product } from "../../db/traffic/identity.ts";
import { confirmWithinMs, deleteFrontProcess, saveFrontProcess } from "../../db/traffic/processes.ts";
import { readTraffic, type Traffic, trafficChannel } from "../../db/traffic/traffic.ts";
import type { Log } from "../../log.ts";
import { failpoint } from "./failpoint.ts";

/** Interval of the looks. Two fit into the time after which writes stop. */
const lookMs = 700;

export interface PhaseWatchOptions {
  sql: Pool;
  log: Log;
  secretKey: string;
  hostname: string;
  pid: number;
}

export class PhaseWatch implements AsyncDisposable {
  readonly #options: PhaseWatchOptions;
  readonly #id = crypto.randomUUID();
  readonly #stopped = new AbortController();
  #traffic: Traffic | undefined;
  #lookedAt = -Infinity;
  #changed = Promise.withResolvers<void>();
  #wake: () => void = () => {};
  #looking: Promise<void> = Promise.resolve();
  #unlisten: (() => Promise<void>) | undefined;

  writesInFlight = 0;
  writesHeld = 0;

  constructor(options: PhaseWatchOptions) {
    this.#options = options;
  }

  /** Begins to look, and waits for the first look. */
  async start(): Promise<void> {
    await this.#look();
    this.#looking = this.#run();
    this.#options.sql.listen(trafficChannel, () => this.#wake(), () => this.#wake())
      .then(({ unlisten }) => this.#unlisten = unlisten, () => {});
  }

  /** The phase of the last look; undefined before the first one succeeded. */
  get traffic(): Traffic | undefined {
    return this.#traffic;
  }

  /** Whether the last look is recent enough to serve writes. */
  isConfirmed(): boolean {
    return performance.now() - this.#lookedAt < confirmWithinMs;
  }

  /** Waits until a look has ended, at most `ms`. */
  async wait(ms: number): Promise<void> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const timeout = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
    await Promise.race([this.#changed.promise, timeout]);
    clearTimeout(timer);
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, lookMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
      if (!this.#stopped.signal.aborted) await this.#look();
    }
  }

  async #look(): Promise<void> {
    const { sql, log } = this.#options;
    // The phase may change while the answer is on its way, so the look counts from its beginning.
    const begun = performance.now();
    failpoint("front.look_begun");
    try {
      const traffic = await readTraffic(sql);
      failpoint("front.phase_read");
      const isNew = traffic.version !== this.#traffic?.version;
      this.#traffic = traffic;
      this.#lookedAt = begun;
      if (isNew) {
        log.info("traffic", { phase: traffic.phase, share: traffic.share, version: traffic.version });
      }
      this.#announce();
      failpoint("front.phase_taken");
      await this.#save(traffic);
      failpoint("front.acknowledged");
    } catch (error) {
      log.warn("the phase of the traffic cannot be read", { error: String(error) });
    }
  }

  /** Ends all present waits. */
  #announce(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }

  /** Acknowledges the phase. Its writes are counted after the phase was taken over, so none is overlooked. */
  async #save({ version }: Traffic): Promise<void> {
    const { sql, hostname, pid, secretKey } = this.#options;
    await saveFrontProcess(sql, {
      id: this.#id,
      host: hostname,
      pid,
      product,
      key_digest: digestKey(secretKey),
      acknowledged: version,
      writes_in_flight: this.writesInFlight,
      writes_held: this.writesHeld,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    this.#wake();
    await this.#looking;
    await this.#unlisten?.().catch(() => {});
    await deleteFrontProcess(this.#options.sql, this.#id).catch(() => {});
  }
}
