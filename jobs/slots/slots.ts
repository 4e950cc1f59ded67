/** The slots of one queue in this worker. Each running attempt uses one. */
export class Slots {
  #max: number;
  #busy = 0;
  #changed = Promise.withResolvers<void>();

  readonly #onBusy: (busy: number) => void;

  /** @param onBusy called with the number of used slots at each change */
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

  /** Number of free slots; 0 while more are used than allowed. */
  get free(): number {
    return Math.max(0, this.#max - this.#busy);
  }

  acquire(count = 1): void {
    this.#busy += count;
    this.#onBusy(this.#busy);
  }

  release(count = 1): void {
    this.#busy -= count;
    this.#onBusy(this.#busy);
    this.#wake();
  }

  /** Waits for the next change of the limit, or for a released slot. */
  changed(): Promise<void> {
    return this.#changed.promise;
  }

  #wake(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers();
  }
}
