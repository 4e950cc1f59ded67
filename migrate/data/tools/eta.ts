/**
 * How long a verb still takes: what is left of all its stages, each in the measure of the biggest (a byte of it is one
 * unit), over the speed so far, in which the latest counts most.
 */

export interface Stage {
  name: string;
  /** Work of the whole stage, in units. */
  units: number;
}

/** A speed from before counts like one of this share of the work that is left, and fades while as much is done. */
const guessShare = 0.08;
const guessSecondsMin = 0.5;
/** Seconds after which an observation counts by a third of its weight; more where the stage is longer. */
const memorySecondsMin = 10;

export class Estimator {
  #stages: Stage[] = [];
  #at = -1;
  #total = 0;
  #done = 0;
  /** Units and seconds, the older the less. */
  #units = 0;
  #seconds = 0;
  /** Units that were done since the guess. */
  #seen = 0;
  #guess: { speed: number; units: number } | undefined;
  #began = 0;
  #heard = 0;
  #isOver = false;
  #isFirst = true;

  /** @param now seconds */
  constructor(readonly now: () => number = () => performance.now() / 1000) {}

  /** Names the stages to come; again, when more is known of them. */
  plan(stages: Stage[]): void {
    if (this.#isOver) this.#forget();
    const name = this.#stages[this.#at]?.name;
    // What was seen of this stage was in the old units.
    const old = this.#stages[this.#at]?.units;
    this.#stages = stages;
    this.#at = stages.findIndex((stage) => stage.name === name);
    const change = old ? (stages[this.#at]?.units ?? old) / old : 1;
    this.#units *= change;
    this.#seen *= change;
    if (this.#guess) this.#guess = { speed: this.#guess.speed * change, units: this.#guess.units * change };
  }

  /** The last stage is over: what is planned next is another verb's. */
  end(): void {
    this.#isOver = true;
  }

  #forget(): void {
    this.#at = -1;
    this.#units = 0;
    this.#seconds = 0;
    this.#seen = 0;
    this.#guess = undefined;
    this.#isOver = false;
  }

  /** Begins a stage of `total` bytes; 0 where nothing is told of it before it ends. One that was not planned is all. */
  begin(name: string, total: number): void {
    this.#at = this.#stages.findIndex((stage) => stage.name === name);
    if (this.#at < 0) {
      this.#forget();
      this.#stages = [{ name, units: total }];
      this.#at = 0;
    }
    this.#isOver = false;
    this.#total = total;
    this.#done = 0;
    this.#began = this.#heard = this.now();
    this.#guessFrom(this.#speed());
  }

  /** What comes now costs otherwise than what came before, so the guess from before the stage is as good as any. */
  turn(): void {
    this.#guessFrom(this.#guess?.speed ?? this.#speed());
  }

  #guessFrom(speed: number | undefined): void {
    this.#isFirst = true;
    if (speed === undefined) return;
    this.#guess = { speed, units: Math.max(guessSecondsMin * speed, guessShare * this.#left()) };
    this.#units = 0;
    this.#seconds = 0;
    this.#seen = 0;
  }

  /** Units a second; undefined until something is known. */
  #speed(): number | undefined {
    if (!this.#guess) return this.#units > 0 ? this.#units / this.#seconds : undefined;
    const { speed, units } = this.#guess;
    const guessed = Math.max(0, units - this.#seen);
    return (this.#units + guessed) / (this.#seconds + guessed / speed);
  }

  /** Bytes of the stage that an earlier run has done. */
  resume(bytes: number): void {
    this.#done += bytes;
  }

  add(bytes: number): void {
    const now = this.now();
    const seconds = now - this.#heard;
    this.#heard = now;
    this.#done += bytes;
    // Until the first is through, others are begun behind it: its time is no measure.
    if (this.#isFirst && this.#guess) return void (this.#isFirst = false);
    const decay = Math.exp(-seconds / Math.max(memorySecondsMin, now - this.#began));
    const { units } = this.#stages[this.#at] ?? { units: 0 };
    const done = this.#total > 0 ? bytes / this.#total * units : 0;
    this.#units = this.#units * decay + done;
    this.#seconds = this.#seconds * decay + seconds;
    this.#seen += done;
  }

  /** Units left, this stage's too. */
  #left(): number {
    const { units } = this.#stages[this.#at] ?? { units: 0 };
    const share = this.#total > 0 ? Math.max(0, 1 - this.#done / this.#total) : 1;
    return this.#stages.slice(this.#at + 1).reduce((sum, stage) => sum + stage.units, units * share);
  }

  /** Undefined until something is known. */
  get secondsLeft(): number | undefined {
    const speed = this.#speed();
    if (speed === undefined) return undefined;
    const seconds = this.#left() / speed;
    // What was heard of last is some time ago.
    return Math.max(0, seconds - (this.now() - this.#heard));
  }
}
