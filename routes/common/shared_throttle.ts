/** Login throttle that all API processes share: counted in Redis, with local buckets in front of it. */
import { AppError } from "../../errors.ts";
import type { Limit, Limiter } from "../../redis/limiter.ts";
import { createFailureGauge } from "../../redis/health.ts";
import { type DescribedFault, describeFault, type RedisFault } from "../../redis/refusal.ts";
import type { Log } from "../../log.ts";
import type { Metrics } from "../../metrics.ts";
import {
  type Bucket,
  Buckets,
  keysMax,
  limitsDefault,
  type LoginThrottle,
  type ThrottleLimits,
} from "./throttle.ts";

export interface SharedThrottleDeps {
  limiter: Limiter;
  log: Log;
  metrics: Metrics;
  limits?: ThrottleLimits;
  /** Clock in milliseconds. */
  now?: () => number;
}

/** Redis commands of one process: well above what `overall` permits, and well below the rate of a flood. */
const redisCommands: Bucket = { burst: 600, perSecond: 50 };
/** Pause in milliseconds after Redis did not answer. */
const redisPauseMs = 1000;
/** Repeated guesses refill the buckets of an address and an e-mail up to 8 times more slowly. */
const slowestMax = 8;
/** Indices in the list of limits. */
const addressIndex = 0;
const emailIndex = 1;

function limitsOf({ address, email, overall }: ThrottleLimits, client: string, account: string): Limit[] {
  return [
    { name: `address ${client}`, ...address, slowestMax },
    { name: `email ${account}`, ...email, slowestMax },
    { name: "overall", ...overall, slowestMax: 1 },
  ];
}

/**
 * Creates the shared throttle. Three refusals cost no Redis command: an address that used up its burst in
 * this process, a client that retries before its wait is over, and a flood. `acquire` fails closed: it throws
 * redis_unreachable if Redis does not answer, so that no login goes uncounted.
 */
export function createSharedThrottle(
  { limiter, log, metrics, limits = limitsDefault, now = () => performance.now() }: SharedThrottleDeps,
): LoginThrottle {
  const addresses = new Buckets(limits.address, now);
  const commands = new Buckets(redisCommands, now);
  /** End of the wait by refused key: an address, or an address and an e-mail. */
  const refusedUntil = new Map<string, number>();
  let redisPausedUntil = -Infinity;
  let shownFault: RedisFault | undefined;
  const showInMetrics = createFailureGauge(metrics);

  function secondsLeft(...keys: string[]): number {
    const until = Math.max(...keys.map((key) => refusedUntil.get(key) ?? -Infinity));
    return until > now() ? Math.ceil((until - now()) / 1000) : 0;
  }
  function refuse(key: string, seconds: number): void {
    refusedUntil.delete(key);
    refusedUntil.set(key, now() + seconds * 1000);
    if (refusedUntil.size > keysMax) refusedUntil.delete(refusedUntil.keys().next().value!);
  }
  /** Shows in log and metrics why attempts cannot be counted, once for each cause. */
  function showFailure(failure: DescribedFault | undefined): void {
    if (failure?.fault === shownFault) return;
    shownFault = failure?.fault;
    showInMetrics("logins", shownFault);
    if (failure === undefined) log.info("logins are counted again");
    else log.warn("logins are refused: Redis cannot count them", { cause: failure.fault, why: failure.text });
  }
  function failClosed(cause?: unknown): never {
    metrics.limiterFailCloses.inc();
    throw new AppError("redis_unreachable", "counting login attempts: Redis does not answer", { cause });
  }

  return {
    async acquire(address, email) {
      const account = email.toLowerCase();
      const pair = `${address} ${account}`;
      const left = secondsLeft(address, pair);
      if (left > 0) return left;
      if (now() < redisPausedUntil) failClosed();
      const localWait = addresses.acquire(address) || commands.acquire("");
      if (localWait > 0) return localWait;
      try {
        const { seconds, refusedBy } = await limiter.acquire(
          limitsOf(limits, address, account),
          pair,
          emailIndex,
        );
        showFailure(undefined);
        if (refusedBy === addressIndex) refuse(address, seconds);
        if (refusedBy === emailIndex) refuse(pair, seconds);
        return seconds;
      } catch (cause) {
        redisPausedUntil = now() + redisPauseMs;
        showFailure(describeFault(cause));
        failClosed(cause);
      }
    },
    async recordSuccess(address, email) {
      const account = email.toLowerCase();
      addresses.refund(address);
      try {
        await limiter.release(limitsOf(limits, address, account), `${address} ${account}`);
      } catch (error) {
        // The attempt stays counted, and the login proceeds.
        log.warn("a login attempt was not refunded", { why: String(error) });
      }
    },
  };
}
