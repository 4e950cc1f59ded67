/**
 * Estimates the time that a command still takes: the remaining work of all its stages divided by the speed of the
 * work. The unit of work is a byte of the longest stage, and every stage is planned in these units, so later stages
 * are part of the estimate from the beginning. The speed follows three rules:
 *
 * 1. The first second of a stage or collection is slower, because code is compiled and caches are empty. It does not
 *    count as soon as later work is observed.
 * 2. A stage starts with the speed of the stages before, its prior. The prior counts like observed work of 15 % of
 *    the work that is left. So a fast beginning, before the server has to write its pages, misleads less.
 * 3. Observed work decays exponentially, with the age of the stage as time constant. So the estimate smooths pauses,
 *    and follows a machine that slows down for good.
 */

export interface Stage {
  name: string;
  /** Work of the whole stage, in units. */
  units: number;
}

/** Weight of a prior as a share of the work that is left. */
const priorShare = 0.15;
const priorSecondsMin = 0.5;
/** Seconds at the beginning of a stage or collection whose speed does not count. */
const warmUpSeconds = 1;
/** Weight of a speed without a prior that no longer counts: enough to have an estimate until more is observed. */
const forgottenSeconds = 0.1;
/** Minimum time constant of the exponential decay. The decay is slower in longer stages. */
const decaySecondsMin = 10;

/**
 * Moves: plan() names the stages → begin() starts one of them → add() and resume() advance it → begin() starts the
 * next → end(). A plan() after end() starts over; a plan() before refines the amounts of work.
 */
export class Estimator {
  #stages: Stage[] = [];
  /** Index of the current stage, or -1. */
  #current = -1;
  /** Bytes of the current stage, all and done. */
  #total = 0;
  #done = 0;
  /** Observed units and seconds, with decay. */
  #units = 0;
  #seconds = 0;
  /** Units per second in the earlier stages. */
  #prior: number | undefined;
  #stageStart = 0;
  #warmUpStart = 0;
  #lastUpdate = 0;
  #hasEnded = false;
  /** True from the beginning of a stage or collection until its first update after the warm-up. */
  #isWarmingUp = true;

  /** @param now returns the time in seconds */
  constructor(readonly now: () => number = () => performance.now() / 1000) {}

  /** Sets the stages of a command, or updates them when more is known. */
  plan(stages: Stage[]): void {
    if (this.#hasEnded) this.#reset();
    const name = this.#stages[this.#current]?.name;
    // The observations of this stage are in the old units.
    const oldUnits = this.#stages[this.#current]?.units;
    this.#stages = stages;
    this.#current = stages.findIndex((stage) => stage.name === name);
    const change = oldUnits ? (stages[this.#current]?.units ?? oldUnits) / oldUnits : 1;
    this.#units *= change;
    if (this.#prior) this.#prior *= change;
  }

  /** Ends the last stage. The next plan is that of another command. */
  end(): void {
    this.#hasEnded = true;
  }

  #reset(): void {
    this.#current = -1;
    this.#units = 0;
    this.#seconds = 0;
    this.#prior = undefined;
    this.#hasEnded = false;
  }

  /**
   * Begins a stage. If it was not planned, it becomes the only stage.
   *
   * @param total bytes of the stage; 0 if its progress is unknown until it ends
   */
  begin(name: string, total: number): void {
    this.#current = this.#stages.findIndex((stage) => stage.name === name);
    if (this.#current < 0) {
      this.#reset();
      this.#stages = [{ name, units: total }];
      this.#current = 0;
    }
    this.#hasEnded = false;
    this.#total = total;
    this.#done = 0;
    this.#stageStart = this.now();
    this.#lastUpdate = this.#stageStart;
    this.#warmUp();
    this.#setPrior(this.#speed());
  }

  /** Forgets the observed speed of this stage, because the following work has another cost. The prior stays. */
  resetSpeed(): void {
    this.#warmUp();
    if (this.#prior) this.#setPrior(this.#prior);
    else this.#forget();
  }

  #warmUp(): void {
    this.#isWarmingUp = true;
    this.#warmUpStart = this.now();
  }

  #forget(): void {
    if (this.#seconds <= forgottenSeconds) return;
    this.#units *= forgottenSeconds / this.#seconds;
    this.#seconds = forgottenSeconds;
  }

  #setPrior(speed: number | undefined): void {
    if (speed === undefined) return;
    this.#prior = speed;
    this.#units = 0;
    this.#seconds = 0;
  }

  /** Returns units per second, or undefined if nothing was observed. */
  #speed(): number | undefined {
    if (!this.#prior) return this.#units > 0 && this.#seconds > 0 ? this.#units / this.#seconds : undefined;
    const units = Math.max(priorSecondsMin * this.#prior, priorShare * this.#unitsLeft());
    return (this.#units + units) / (this.#seconds + units / this.#prior);
  }

  /** Adds bytes of the stage that an earlier run has done. */
  resume(bytes: number): void {
    this.#done += bytes;
  }

  /** Adds bytes that were done since the last call. */
  add(bytes: number): void {
    const now = this.now();
    const seconds = now - this.#lastUpdate;
    this.#lastUpdate = now;
    this.#done += bytes;
    const wasWarmingUp = this.#isWarmingUp;
    this.#isWarmingUp &&= now - this.#warmUpStart < warmUpSeconds;
    // With a prior, neither the warm-up counts nor the first update, whose time includes work on the following ones.
    if (wasWarmingUp && this.#prior) return;
    const decay = Math.exp(-seconds / Math.max(decaySecondsMin, now - this.#stageStart));
    const { units } = this.#stages[this.#current] ?? { units: 0 };
    const done = this.#total > 0 ? bytes / this.#total * units : 0;
    this.#units = this.#units * decay + done;
    this.#seconds = this.#seconds * decay + seconds;
    if (wasWarmingUp && !this.#isWarmingUp) this.#forget();
  }

  /** Returns the units that are left in this stage and the following ones. */
  #unitsLeft(): number {
    const { units } = this.#stages[this.#current] ?? { units: 0 };
    const share = this.#total > 0 ? Math.max(0, 1 - this.#done / this.#total) : 1;
    return this.#stages.slice(this.#current + 1).reduce((sum, stage) => sum + stage.units, units * share);
  }

  /** Estimated seconds until the end of the command, or undefined if nothing was observed. */
  get secondsLeft(): number | undefined {
    const speed = this.#speed();
    if (speed === undefined) return undefined;
    const seconds = this.#unitsLeft() / speed;
    // Time has passed since the last update.
    return Math.max(0, seconds - (this.now() - this.#lastUpdate));
  }
}
