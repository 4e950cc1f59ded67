/** A signal that one loop waits for and other code rings. */
export class Bell {
  #rung = Promise.withResolvers<void>();
  #pending = false;

  /** Ends all present waits. Without any, the next wait ends at once. */
  ring(): void {
    this.#pending = true;
    this.#rung.resolve();
    this.#rung = Promise.withResolvers();
  }

  /**
   * Waits for a ring, up to `ms`.
   *
   * @returns true after a ring, false after `ms`
   */
  async wait(ms: number): Promise<boolean> {
    if (!this.#pending) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const timeout = new Promise<void>((resolve) => timer = setTimeout(resolve, ms));
      await Promise.race([this.#rung.promise, timeout]);
      clearTimeout(timer);
    }
    const rung = this.#pending;
    this.#pending = false;
    return rung;
  }
}
