/** Room for attempts of one queue in this worker. */
export class Slots {
  #max: number;
  #busy = 0;
  #changed = Promise.withResolvers<void>();

  readonly #onBusy: (busy: number) => void;

  /** @param onBusy told of each change of what is in use */
  constructor(max: number, onBusy: (busy: number) => void = () => {}) {
    this.#max = max;
    this.#onBusy = onBusy;
  }

  get max(): number {
    return this.#max;
  }

  set max(slots: number) {
    this.#max = slots;
    this.#wake();
  }

  get busy(): number {
    return this.#busy;
  }

  /** Never below zero, also while fewer are allowed than run. */
  get free(): number {
    return Math.max(0, this.#max - this.#busy);
  }

  take(count = 1): void {
    this.#busy += count;
    this.#onBusy(this.#busy);
  }

  give(count = 1): void {
    this.#busy -= count;
    this.#onBusy(this.#busy);
    this.#wake();
  }

  /** Settles at the next change. */
  changed(): Promise<void> {
    return this.#changed.promise;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
