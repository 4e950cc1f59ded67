/** The login throttle of all API processes together: counted in Redis, with a limiter of our own before it. */
import { AppError } from "../../errors.ts";
import type { Limit, Limiter } from "../../redis/limiter.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import {
  type Bucket,
  Buckets,
  keysMax,
  type LoginThrottle,
  standardLimits,
  type ThrottleLimits,
} from "./throttle.ts";

export interface SharedThrottleDeps {
  limiter: Limiter;
  log: Log;
  metrics: Metrics;
  limits?: ThrottleLimits;
  /** Milliseconds. */
  now?: () => number;
}

/** Commands to Redis that one process sends: far over what all may do together, and far under a flood. */
const commands: Bucket = { burst: 600, perSecond: 50 };
/** Milliseconds for which a Redis that did not answer is not asked again. */
const restMs = 1000;
/** A guesser's tries come back up to 8 times slower; the whole is not slowed down by one of them. */
const slowestMax = 8;
/** Where in the list of limits each stands. */
const byAddress = 0, byEmail = 1;

function limitsOf({ address, email, overall }: ThrottleLimits, from: string, who: string): Limit[] {
  return [
    { name: `address ${from}`, ...address, slowestMax },
    { name: `email ${who}`, ...email, slowestMax },
    { name: "overall", ...overall, slowestMax: 1 },
  ];
}

/**
 * What one process can refuse by itself costs no command: an address that had its burst here, who was told to wait and
 * does not, and a flood. `take` throws AppError redis_unreachable when Redis does not answer: nobody signs in uncounted.
 */
export function createSharedThrottle(
  { limiter, log, metrics, limits = standardLimits, now = () => performance.now() }: SharedThrottleDeps,
): LoginThrottle {
  const addresses = new Buckets(limits.address, now);
  const all = new Buckets(commands, now);
  /** Until when who was refused waits, by what refused it. */
  const waiting = new Map<string, number>();
  let restsUntil = -Infinity;

  function secondsLeft(...keys: string[]): number {
    const until = Math.max(...keys.map((key) => waiting.get(key) ?? -Infinity));
    return until > now() ? Math.ceil((until - now()) / 1000) : 0;
  }
  function wait(key: string, seconds: number): void {
    waiting.delete(key);
    waiting.set(key, now() + seconds * 1000);
    if (waiting.size > keysMax) waiting.delete(waiting.keys().next().value!);
  }
  function away(cause?: unknown): never {
    metrics.limiterFailCloses.inc();
    throw new AppError("redis_unreachable", "counting a login's tries: Redis does not answer", { cause });
  }

  return {
    async take(address, email) {
      const who = email.toLowerCase();
      const pair = `${address} ${who}`;
      const left = secondsLeft(address, pair);
      if (left > 0) return left;
      if (now() < restsUntil) away();
      const local = addresses.take(address) || all.take("");
      if (local > 0) return local;
      try {
        const { seconds, refusedBy } = await limiter.take(limitsOf(limits, address, who), pair, byEmail);
        if (refusedBy === byAddress) wait(address, seconds);
        if (refusedBy === byEmail) wait(pair, seconds);
        return seconds;
      } catch (cause) {
        restsUntil = now() + restMs;
        away(cause);
      }
    },
    async succeeded(address, email) {
      const who = email.toLowerCase();
      addresses.giveBack(address);
      try {
        await limiter.giveBack(limitsOf(limits, address, who), `${address} ${who}`);
      } catch (error) {
        // The password was right and the try was counted: the sign-in goes on.
        log.warn("a login's try was not given back", { why: String(error) });
      }
    },
  };
}
