/** Tries counted in Redis, for all processes together: one script, one round trip. */
import type { Redis } from "@upstash/redis";

/** One thing that tries are counted by. */
export interface Limit {
  /** What is counted: keyed and hashed before it leaves the process, so that Redis holds no e-mail and no address. */
  name: string;
  /** Tries at once. */
  burst: number;
  /** Tries that come back in a second. */
  perSecond: number;
  /** Each further burst in a row comes back half as fast, down to 1 in this many; 1 never slows down. */
  slowestMax: number;
}

export interface Taken {
  /** 0 when the try may go ahead, else whole seconds to wait. */
  seconds: number;
  /** Which of the limits says so, by its place. */
  refusedBy: number | undefined;
}

export interface Limiter {
  /**
   * Takes one try of every limit, or of none when one of them refuses: a refused try makes nobody wait longer.
   *
   * @param pass where the mark of {@link Limiter.giveBack} is, `passes` is not asked
   * @throws what the client throws when Redis does not answer
   */
  take(limits: Limit[], pass: string, passes: number): Promise<Taken>;
  /** Gives the try back to every limit and marks `pass` for `passDays`. */
  giveBack(limits: Limit[], pass: string): Promise<void>;
}

/** A sign-in from the same place within this many days is not kept out by strangers who guess. */
const passDays = 30;

/**
 * The generic cell rate algorithm: a key holds `t`, the millisecond at which all its tries are back, and `n`, the tries
 * since they last were. A key lives until then, so who waits is forgotten. Redis' own clock counts.
 */
const takeScript = `
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

const giveBackScript = `
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
 * @param area keeps apart what is counted for different ends; all its keys share a slot of a Redis cluster
 * @param secret makes the hashes: without it nobody can tell whose they are by trying names
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
  return {
    async take(limits, pass, passes) {
      const args = limits.flatMap((limit) => [limit.burst, stepMs(limit), limit.slowestMax]);
      const keys = await keysOf(limits, pass);
      const [by, ms] = (await redis.eval(takeScript, keys, [passes + 1, ...args].map(String)) as unknown[])
        .map(Number) as [number, number];
      return by === 0
        ? { seconds: 0, refusedBy: undefined }
        : { seconds: Math.max(1, Math.ceil(ms / 1000)), refusedBy: by - 1 };
    },
    async giveBack(limits, pass) {
      const args = [passDays * 86_400, ...limits.map(stepMs)];
      await redis.eval(giveBackScript, await keysOf(limits, pass), args.map(String));
    },
  };
}
