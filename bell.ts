/** Something to wait for: rung by notifications, ends of work, or time. */
export class Bell {
  #rung = Promise.withResolvers<void>();
  #pending = false;

  /** Wakes who waits now; if nobody does, the next wait ends at once. */
  ring(): void {
    this.#pending = true;
    this.#rung.resolve();
    this.#rung = Promise.withResolvers();
  }

  /** @returns true when it was rung, false when `ms` passed */
  async wait(ms: number): Promise<boolean> {
    if (!this.#pending) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
      await Promise.race([this.#rung.promise, late]);
      clearTimeout(timer);
    }
    const rung = this.#pending;
    this.#pending = false;
    return rung;
  }
}

/** Whether Redis answers, said aloud once at each turn. */
export class RedisHealth {
  #away = false;
  #triedAt = 0;
  readonly #say: (away: boolean, cause?: unknown) => void;

  constructor(say: (away: boolean, cause?: unknown) => void) {
    this.#say = say;
  }

  /** While away, one attempt a second is worth it. */
  get worthTrying(): boolean {
    return !this.#away || performance.now() - this.#triedAt > 1_000;
  }

  get away(): boolean {
    return this.#away;
  }

  failed(cause: unknown): void {
    this.#triedAt = performance.now();
    if (!this.#away) this.#say(true, cause);
    this.#away = true;
  }

  answered(): void {
    if (this.#away) this.#say(false);
    this.#away = false;
  }
}
