/** A rate limiter in Redis, shared by all processes. Each call is one script and one round trip. */
import type { Redis } from "@upstash/redis";

/** A limit on the tries under one name. */
export interface Limit {
  /**
   * The counted name, such as an e-mail or an address. The process sends only a keyed hash of it to Redis.
   */
  name: string;
  /** Maximum number of tries in a burst. */
  burst: number;
  /** Tries that become free in a second. */
  perSecond: number;
  /**
   * Each further burst in a row is refilled at half the rate, down to 1 / `slowestMax` of it; 1 keeps the
   * rate.
   */
  slowestMax: number;
}

export interface LimitResult {
  /** 0 when the try is accepted, else the whole seconds to wait. */
  seconds: number;
  /** Index of the limit that refused the try. */
  refusedBy: number | undefined;
}

export interface Limiter {
  /**
   * Acquires one try from every limit. When one limit refuses, acquires none, so that a refused try prolongs
   * no wait.
   *
   * @param pass name that {@link Limiter.release} remembers; with it, the limit at index `passes` is skipped
   * @throws the error of the client when Redis does not answer
   */
  acquire(limits: Limit[], pass: string, passes: number): Promise<LimitResult>;
  /** Returns the try to every limit and remembers `pass` for `passDays`. */
  release(limits: Limit[], pass: string): Promise<void>;
  /**
   * Asks whether tries can be counted, by counting one under a name of its own. Its key expires after a
   * second.
   *
   * @throws the refusal of Redis, or the failure of the connection
   */
  probe(): Promise<void>;
}

const probeLimit: Limit = { name: "probe", burst: 1_000_000, perSecond: 1_000_000, slowestMax: 1 };

/**
 * Days for which a successful sign-in exempts its address and account from the limit that strangers can
 * exhaust.
 */
const passDays = 30;

/**
 * The generic cell rate algorithm. A key holds `t`, the millisecond at which all its tries are free again,
 * and `n`, the number of tries since they last were. The key expires at that time. The clock is the clock of
 * Redis.
 */
const acquireScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local passed = redis.call('EXISTS', KEYS[#KEYS]) == 1 and tonumber(ARGV[1]) or 0
local found = {}
for i = 1, #KEYS - 1 do
  if i ~= passed then
    local burst, step, slowest = tonumber(ARGV[i * 3 - 1]), tonumber(ARGV[i * 3]), tonumber(ARGV[i * 3 + 1])
    local held = redis.call('HMGET', KEYS[i], 't', 'n')
    local full, tries = math.max(tonumber(held[1]) or 0, now), tonumber(held[2]) or 0
    local wait = full - now - (burst - 1) * step
    if wait > 0 then return {i, math.ceil(wait)} end
    found[i] = {full + step * math.min(slowest, 2 ^ math.floor(tries / burst)), tries + 1}
  end
end
for i, to in pairs(found) do
  redis.call('HSET', KEYS[i], 't', string.format('%.0f', to[1]), 'n', to[2])
  redis.call('PEXPIRE', KEYS[i], math.ceil(to[1] - now) + 1000)
end
return {0, 0}`;

const releaseScript = `
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for i = 1, #KEYS - 1 do
  local held = redis.call('HMGET', KEYS[i], 't', 'n')
  if held[1] then
    local full, tries = tonumber(held[1]) - tonumber(ARGV[i + 1]), tonumber(held[2]) - 1
    if full <= now or tries <= 0 then redis.call('DEL', KEYS[i])
    else redis.call('HSET', KEYS[i], 't', string.format('%.0f', full), 'n', tries) end
  end
end
redis.call('SET', KEYS[#KEYS], '1', 'EX', ARGV[1])
return 1`;

const encoder = new TextEncoder();

/**
 * Creates a limiter.
 *
 * @param area separates the counters of different uses; all keys of an area share a slot of a Redis cluster
 * @param secret key of the hashes; without it, names cannot be found by trying
 */
export function createLimiter(redis: Redis, area: string, secret: string): Limiter {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const hashing = crypto.subtle.importKey("raw", encoder.encode(`limiter ${secret}`), hmac, false, ["sign"]);
  const keyOf = async (name: string) => {
    const hash = new Uint8Array(await crypto.subtle.sign("HMAC", await hashing, encoder.encode(name)));
    return `contactsheet:{${area}}:${hash.subarray(0, 16).toHex()}`;
  };
  const keysOf = (limits: Limit[], pass: string) =>
    Promise.all([...limits.map(({ name }) => name), `pass ${pass}`].map(keyOf));
  const stepMs = ({ perSecond }: Limit) => 1000 / perSecond;
  const limiter: Limiter = {
    async acquire(limits, pass, passes) {
      const args = limits.flatMap((limit) => [limit.burst, stepMs(limit), limit.slowestMax]);
      const keys = await keysOf(limits, pass);
      const answer = await redis.eval(acquireScript, keys, [passes + 1, ...args].map(String)) as unknown[];
      const [refusedBy, ms] = answer.map(Number) as [number, number];
      return refusedBy === 0
        ? { seconds: 0, refusedBy: undefined }
        : { seconds: Math.max(1, Math.ceil(ms / 1000)), refusedBy: refusedBy - 1 };
    },
    async release(limits, pass) {
      const args = [passDays * 86_400, ...limits.map(stepMs)];
      await redis.eval(releaseScript, await keysOf(limits, pass), args.map(String));
    },
    async probe() {
      await limiter.acquire([probeLimit], "probe", -1);
    },
  };
  return limiter;
}
