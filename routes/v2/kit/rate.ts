/** How much one principal may ask of this process: a bucket each, told in every answer. */
import type { Context } from "hono";
import { Buckets } from "../../common/throttle.ts";
import type { V2Env } from "./context.ts";
import { HttpFailure } from "./problem.ts";

const buckets = new WeakMap<object, Buckets>();
/** Seconds' worth of requests that may come at once. */
const burstSeconds = 10;

function bucketsOf({ deps }: V2Env["Variables"]): Buckets {
  const { config: { RATE_LIMIT: perSecond } } = deps;
  const found = buckets.get(deps) ??
    new Buckets({ burst: perSecond * burstSeconds, perSecond }, () => performance.now());
  buckets.set(deps, found);
  return found;
}

/**
 * Takes one turn of `key` (draft-ietf-httpapi-ratelimit-headers names the headers).
 *
 * @throws HttpFailure too_many_requests with Retry-After
 */
export function takeTurn(c: Context<V2Env>, key: string): void {
  const held = bucketsOf(c.var);
  const { burst, perSecond } = held.bucket;
  const seconds = held.take(key);
  const headers = {
    "ratelimit-policy": `"default";q=${burst};w=${Math.ceil(burst / perSecond)}`,
    "ratelimit": `"default";r=${held.left(key)};t=${Math.ceil((burst - held.left(key)) / perSecond)}`,
  };
  if (seconds > 0) {
    throw new HttpFailure("too_many_requests", `asking too often: wait ${seconds} s`, {
      ...headers,
      "retry-after": String(seconds),
    });
  }
  for (const [name, value] of Object.entries(headers)) c.header(name, value);
}
