/**
 * The hold: all API processes let writes wait. It ends by itself, with the phase before it, when this process does not
 * renew it.
 */
import { wait } from "../../../wait.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { listFrontProcesses } from "../../../db/traffic/processes.ts";
import {
  changeTraffic,
  type Phase,
  readTraffic,
  renewHold,
  type Traffic,
} from "../../../db/traffic/traffic.ts";
import { AppError } from "../../../errors.ts";
import { counted } from "../../../phrases.ts";
import { failpoint } from "../tools/failpoint.ts";

/** Life of a hold and the interval of its renewals, in milliseconds. Several renewals fit into a life. */
export const holdMs = 6000;
const renewMs = 1000;
const lookMs = 20;

export class Hold implements AsyncDisposable {
  #timer: ReturnType<typeof setInterval> | undefined;
  #isLost = false;
  readonly #begunAt = performance.now();

  private constructor(
    readonly pool: Pool,
    readonly traffic: Traffic,
    readonly before: { phase: Phase; share: number },
    readonly pauseMsMax: number,
  ) {
    this.#timer = setInterval(() => this.#renew(), renewMs);
  }

  /**
   * Sets the phase `holding`.
   *
   * @param before the phase that it follows
   * @throws AppError conflict when somebody changed the phase meanwhile
   */
  static async begin(
    pool: Pool,
    before: Traffic,
    { by, reason, pauseMsMax }: { by: string; reason: string; pauseMsMax: number },
  ): Promise<Hold> {
    const { phase, share, version } = before;
    const change = { phase: "holding" as const, share, by, reason, forced: false, holdMs };
    const traffic = await changeTraffic(pool, version, change);
    if (traffic === undefined) throw lostError("somebody changed the phase at the same moment");
    failpoint("hold.changed");
    return new Hold(pool, traffic, { phase, share }, pauseMsMax);
  }

  get version(): number {
    return this.traffic.version;
  }

  /** Milliseconds since the hold began. */
  get elapsedMs(): number {
    return performance.now() - this.#begunAt;
  }

  #renew(): void {
    renewHold(this.pool, this.version, holdMs).then(
      (isHeld) => {
        if (!isHeld) this.#isLost = true;
      },
      () => {},
    );
  }

  /** @throws AppError conflict when the hold is over, busy when the pause takes too long */
  check(): void {
    if (this.#isLost) throw lostError("the hold is over, or somebody changed the phase");
    if (this.elapsedMs <= this.pauseMsMax) return;
    throw new AppError(
      "busy",
      `the pause takes longer than ${this.pauseMsMax} ms, after which writes would be refused; everything is as before`,
    );
  }

  /** Waits until every API process has acknowledged the hold and has no write in flight. */
  async waitInForce(): Promise<void> {
    while (true) {
      const processes = await listFrontProcesses(this.pool);
      const open = processes.filter(({ acknowledged, writes_in_flight }) =>
        acknowledged < this.version || writes_in_flight > 0
      );
      if (open.length === 0) {
        failpoint("hold.in_force");
        return;
      }
      try {
        this.check();
      } catch (error) {
        const names = open.map(({ host, pid, acknowledged, writes_in_flight }) =>
          `${host}:${pid} (${
            acknowledged < this.version
              ? "not acknowledged"
              : `${counted(writes_in_flight, "write")} in flight`
          })`
        );
        throw new AppError("busy", `${(error as Error).message}; waiting for ${names.join(", ")}`);
      }
      await wait(lookMs);
    }
  }

  /** Stops to renew: the switch has been made, or another connection decides. */
  stopRenewing(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.stopRenewing();
    return Promise.resolve();
  }
}

const lostError = (what: string) =>
  new AppError("conflict", `holding the writes: ${what}; everything is as before`);

/** Ends a hold that is still the one of this version: the phase before it is back. */
export async function endHold(pool: Pool, version: number, by: string, reason: string): Promise<boolean> {
  const { phase, phase_before, share, version: now } = await readTraffic(pool);
  if (phase !== "holding" || now !== version) return false;
  const change = { phase: phase_before!, share, by, reason, forced: false, holdMs: null };
  return await changeTraffic(pool, version, change) !== undefined;
}
