/**
 * Estimates the time that a command still takes: the remaining work of all its stages divided by the speed so far,
 * averaged with exponential decay. The unit of work is a byte of the longest stage.
 */

export interface Stage {
  name: string;
  /** Work of the whole stage, in units. */
  units: number;
}

/** Weight of a speed from an earlier stage, as a share of the remaining work. It fades as that much work is done. */
const priorShare = 0.08;
const priorSecondsMin = 0.5;
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
  /** Units that were done since the prior was set. */
  #unitsSincePrior = 0;
  /** The speed from an earlier stage. */
  #prior: { speed: number; units: number } | undefined;
  #stageStart = 0;
  #lastUpdate = 0;
  #hasEnded = false;
  #isFirstUpdate = true;

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
    this.#unitsSincePrior *= change;
    if (this.#prior) this.#prior = { speed: this.#prior.speed * change, units: this.#prior.units * change };
  }

  /** Ends the last stage. The next plan is that of another command. */
  end(): void {
    this.#hasEnded = true;
  }

  #reset(): void {
    this.#current = -1;
    this.#units = 0;
    this.#seconds = 0;
    this.#unitsSincePrior = 0;
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
    this.#setPrior(this.#speed());
  }

  /** Forgets the observed speed of this stage, because the following work has another cost. The prior stays. */
  resetSpeed(): void {
    this.#setPrior(this.#prior?.speed ?? this.#speed());
  }

  #setPrior(speed: number | undefined): void {
    this.#isFirstUpdate = true;
    if (speed === undefined) return;
    this.#prior = { speed, units: Math.max(priorSecondsMin * speed, priorShare * this.#unitsLeft()) };
    this.#units = 0;
    this.#seconds = 0;
    this.#unitsSincePrior = 0;
  }

  /** Returns units per second, or undefined if nothing was observed. */
  #speed(): number | undefined {
    if (!this.#prior) return this.#units > 0 ? this.#units / this.#seconds : undefined;
    const { speed, units } = this.#prior;
    const priorUnits = Math.max(0, units - this.#unitsSincePrior);
    return (this.#units + priorUnits) / (this.#seconds + priorUnits / speed);
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
    // The time of the first update includes work on the following ones, so it is not representative.
    if (this.#isFirstUpdate && this.#prior) {
      this.#isFirstUpdate = false;
      return;
    }
    const decay = Math.exp(-seconds / Math.max(decaySecondsMin, now - this.#stageStart));
    const { units } = this.#stages[this.#current] ?? { units: 0 };
    const done = this.#total > 0 ? bytes / this.#total * units : 0;
    this.#units = this.#units * decay + done;
    this.#seconds = this.#seconds * decay + seconds;
    this.#unitsSincePrior += done;
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
