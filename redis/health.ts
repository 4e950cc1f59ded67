/** Whether Redis answers, as the last calls of this process showed. */

const retryEveryMs = 1_000;

/**
 * Remembers whether Redis answers and reports each change once.
 *
 * States: present, away. Moves: `failed` makes it away, `answered` makes it present.
 */
export class RedisHealth {
  #away = false;
  #failedAt = 0;
  readonly #onChange: (away: boolean, cause?: unknown) => void;

  /** @param onChange called at each change; `cause` is the failure that made Redis away */
  constructor(onChange: (away: boolean, cause?: unknown) => void) {
    this.#onChange = onChange;
  }

  /** Whether to call Redis now: always while it is present, else once a second after the last failure. */
  get isWorthTrying(): boolean {
    return !this.#away || performance.now() - this.#failedAt > retryEveryMs;
  }

  get isAway(): boolean {
    return this.#away;
  }

  /** Notes that a call failed. */
  failed(cause: unknown): void {
    this.#failedAt = performance.now();
    if (!this.#away) this.#onChange(true, cause);
    this.#away = true;
  }

  /** Notes that a call was answered. */
  answered(): void {
    if (this.#away) this.#onChange(false);
    this.#away = false;
  }
}
