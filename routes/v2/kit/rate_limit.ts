/** The rate limit: one token bucket for each principal in this process, reported in every response. */
import type { Context } from "hono";
import { Buckets } from "../../common/throttle.ts";
import type { V2Env } from "./context.ts";
import { HttpError } from "./problem.ts";

/** Capacity of a bucket, in seconds of its refill rate. */
const burstSeconds = 10;

/** @param perSecond RATE_LIMIT */
export const createRateLimits = (perSecond: number): Buckets =>
  new Buckets({ burst: perSecond * burstSeconds, perSecond }, () => performance.now());

/**
 * Takes one token of `key` and sets the headers of draft-ietf-httpapi-ratelimit-headers.
 *
 * @throws HttpError too_many_requests with Retry-After
 */
export function limitRate(c: Context<V2Env>, key: string): void {
  const { rateLimits } = c.var.deps;
  const { burst, perSecond } = rateLimits.bucket;
  const waitSeconds = rateLimits.acquire(key);
  const available = rateLimits.countAvailable(key);
  const headers = {
    "ratelimit-policy": `"default";q=${burst};w=${Math.ceil(burst / perSecond)}`,
    "ratelimit": `"default";r=${available};t=${Math.ceil((burst - available) / perSecond)}`,
  };
  if (waitSeconds > 0) {
    throw new HttpError("too_many_requests", `asking too often: wait ${waitSeconds} s`, {
      ...headers,
      "retry-after": String(waitSeconds),
    });
  }
  for (const [name, value] of Object.entries(headers)) c.header(name, value);
}
