/** Slows down who guesses passwords: by address, by e-mail and overall; nobody is ever locked out. */

export interface Bucket {
  /** Tries at once. */
  burst: number;
  /** Tries that come back in a second. */
  perSecond: number;
}

export interface ThrottleLimits {
  address: Bucket;
  email: Bucket;
  overall: Bucket;
}

export interface LoginThrottle {
  /**
   * Takes one try; 0 when it may go ahead, else whole seconds to wait.
   *
   * @throws AppError redis_unreachable where the tries are counted in Redis and it does not answer
   */
  take(address: string, email: string): number | Promise<number>;
  /** A right password gives its tries back and lets this address in for this e-mail from then on. */
  succeeded(address: string, email: string): void | Promise<void>;
}

/** Counts in the memory of this process, so it answers at once. */
export interface LocalThrottle extends LoginThrottle {
  take(address: string, email: string): number;
  succeeded(address: string, email: string): void;
}

export const standardLimits: ThrottleLimits = {
  address: { burst: 60, perSecond: 0.5 },
  email: { burst: 30, perSecond: 0.2 },
  overall: { burst: 300, perSecond: 10 },
};

/** Keys kept at most; over it, full buckets are dropped first, then the oldest. */
export const keysMax = 50_000;

/** Buckets by key; those that are full need not be kept. */
export class Buckets {
  readonly #left = new Map<string, { tries: number; at: number }>();

  constructor(readonly bucket: Bucket, readonly now: () => number) {}

  /** Seconds until a try is there; 0 takes it. */
  take(key: string): number {
    const { burst, perSecond } = this.bucket;
    const at = this.now();
    const found = this.#left.get(key) ?? { tries: burst, at };
    const tries = Math.min(burst, found.tries + Math.max(0, at - found.at) / 1000 * perSecond);
    this.#left.delete(key);
    this.#left.set(key, { tries: tries >= 1 ? tries - 1 : tries, at });
    if (this.#left.size > keysMax) this.#shed(at);
    return tries >= 1 ? 0 : Math.ceil((1 - tries) / perSecond);
  }

  /** Whole tries that are there now. */
  left(key: string): number {
    const { burst, perSecond } = this.bucket;
    const found = this.#left.get(key);
    if (!found) return burst;
    return Math.floor(Math.min(burst, found.tries + Math.max(0, this.now() - found.at) / 1000 * perSecond));
  }

  giveBack(key: string): void {
    const found = this.#left.get(key);
    if (found) found.tries = Math.min(this.bucket.burst, found.tries + 1);
  }

  #shed(at: number): void {
    const { burst, perSecond } = this.bucket;
    for (const [key, { tries, at: then }] of this.#left) {
      if (tries + (at - then) / 1000 * perSecond >= burst) this.#left.delete(key);
    }
    for (const key of this.#left.keys()) {
      if (this.#left.size <= keysMax) return;
      this.#left.delete(key);
    }
  }
}

/**
 * A throttle in the memory of this process.
 *
 * @param now milliseconds; a clock that is set back gives nothing and takes nothing
 */
export function createThrottle(
  limits: ThrottleLimits = standardLimits,
  now: () => number = () => performance.now(),
): LocalThrottle {
  const addresses = new Buckets(limits.address, now);
  const emails = new Buckets(limits.email, now);
  const overall = new Buckets(limits.overall, now);
  const friends = new Set<string>();
  const pair = (address: string, email: string) => `${address} ${email.toLowerCase()}`;
  return {
    take(address, email) {
      const byAddress = addresses.take(address);
      if (byAddress > 0) return byAddress;
      // Who signed in from here before is not kept out by strangers who guess at the same e-mail.
      const byEmail = friends.has(pair(address, email)) ? 0 : emails.take(email.toLowerCase());
      return byEmail > 0 ? byEmail : overall.take("");
    },
    succeeded(address, email) {
      addresses.giveBack(address);
      overall.giveBack("");
      emails.giveBack(email.toLowerCase());
      friends.add(pair(address, email));
      if (friends.size > keysMax) friends.delete(friends.values().next().value!);
    },
  };
}
