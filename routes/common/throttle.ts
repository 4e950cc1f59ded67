/**
 * Login throttle: token buckets by address, by e-mail and overall slow down password guessing. No account is
 * ever locked.
 */

/** Parameters of a token bucket. */
export interface Bucket {
  /** Capacity: attempts that may follow each other without a pause. */
  burst: number;
  /** Refill rate in attempts per second. */
  perSecond: number;
}

export interface ThrottleLimits {
  address: Bucket;
  email: Bucket;
  overall: Bucket;
}

export interface LoginThrottle {
  /**
   * Takes one attempt from the buckets.
   *
   * @returns 0 if the login may proceed, otherwise the wait in whole seconds
   * @throws AppError redis_unreachable if the attempts are counted in Redis and Redis does not answer
   */
  acquire(address: string, email: string): number | Promise<number>;
  /**
   * Records a right password: refunds its attempt and exempts this address from the bucket of this e-mail.
   */
  recordSuccess(address: string, email: string): void | Promise<void>;
}

/** A throttle in the memory of this process. It answers synchronously. */
export interface LocalThrottle extends LoginThrottle {
  acquire(address: string, email: string): number;
  recordSuccess(address: string, email: string): void;
}

export const limitsDefault: ThrottleLimits = {
  address: { burst: 60, perSecond: 0.5 },
  email: { burst: 30, perSecond: 0.2 },
  overall: { burst: 300, perSecond: 10 },
};

/** Maximum number of stored keys. Above it, full buckets are evicted first, then the oldest. */
export const keysMax = 50_000;

/** Token buckets by key. A full bucket need not be stored. */
export class Buckets {
  readonly #stored = new Map<string, { tokens: number; at: number }>();

  /** @param now clock in milliseconds */
  constructor(readonly bucket: Bucket, readonly now: () => number) {}

  /** Takes one token and returns 0, or returns the seconds until there is one. */
  acquire(key: string): number {
    const { burst, perSecond } = this.bucket;
    const at = this.now();
    const found = this.#stored.get(key) ?? { tokens: burst, at };
    const tokens = Math.min(burst, found.tokens + Math.max(0, at - found.at) / 1000 * perSecond);
    this.#stored.delete(key);
    this.#stored.set(key, { tokens: tokens >= 1 ? tokens - 1 : tokens, at });
    if (this.#stored.size > keysMax) this.#evict(at);
    return tokens >= 1 ? 0 : Math.ceil((1 - tokens) / perSecond);
  }

  /** Returns the number of whole tokens that are available now. */
  countAvailable(key: string): number {
    const { burst, perSecond } = this.bucket;
    const found = this.#stored.get(key);
    if (!found) return burst;
    const tokens = found.tokens + Math.max(0, this.now() - found.at) / 1000 * perSecond;
    return Math.floor(Math.min(burst, tokens));
  }

  /** Returns one token to the bucket. */
  refund(key: string): void {
    const found = this.#stored.get(key);
    if (found) found.tokens = Math.min(this.bucket.burst, found.tokens + 1);
  }

  #evict(now: number): void {
    const { burst, perSecond } = this.bucket;
    for (const [key, { tokens, at }] of this.#stored) {
      if (tokens + (now - at) / 1000 * perSecond >= burst) this.#stored.delete(key);
    }
    for (const key of this.#stored.keys()) {
      if (this.#stored.size <= keysMax) return;
      this.#stored.delete(key);
    }
  }
}

/**
 * Creates a throttle in the memory of this process.
 *
 * @param now clock in milliseconds; setting it back neither adds nor removes attempts
 */
export function createThrottle(
  limits: ThrottleLimits = limitsDefault,
  now: () => number = () => performance.now(),
): LocalThrottle {
  const addresses = new Buckets(limits.address, now);
  const emails = new Buckets(limits.email, now);
  const overall = new Buckets(limits.overall, now);
  const successful = new Set<string>();
  const pairOf = (address: string, email: string) => `${address} ${email.toLowerCase()}`;
  return {
    acquire(address, email) {
      const addressWait = addresses.acquire(address);
      if (addressWait > 0) return addressWait;
      // Guesses at an e-mail from other addresses do not block an address that has signed in with it before.
      const emailWait = successful.has(pairOf(address, email)) ? 0 : emails.acquire(email.toLowerCase());
      return emailWait > 0 ? emailWait : overall.acquire("");
    },
    recordSuccess(address, email) {
      addresses.refund(address);
      overall.refund("");
      emails.refund(email.toLowerCase());
      successful.add(pairOf(address, email));
      if (successful.size > keysMax) successful.delete(successful.values().next().value!);
    },
  };
}
