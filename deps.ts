/** Opens what a process needs and closes it in reverse. */
import { type Config, parseConfig, type Program, readEnvironment } from "./config.ts";
import { connect, connectError, type Pool } from "./db/pg/connect.ts";
import { AppError } from "./errors.ts";
import { createLimiter } from "./redis/limiter.ts";
import { openRedis, type RedisDoor } from "./redis/connect.ts";
import { createLog, type Log } from "./log.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { requireSchema } from "./migrate/schema/runner.ts";
import { createSharedThrottle } from "./routes/common/shared_throttle.ts";
import type { LoginThrottle } from "./routes/common/throttle.ts";

export interface Deps extends AsyncDisposable {
  config: Config;
  log: Log;
  metrics: Metrics;
  sql: Pool;
}

/** What the API needs beside: where logins are counted. */
export interface ApiDeps extends Deps {
  redis: RedisDoor;
  throttle: LoginThrottle;
}

/** Longer than any statement of ours takes, the wait for a lock included. */
const silentMsMax = 15_000;

/**
 * Sessions of the API: what takes longer than its clients wait is given up, and rows that it has locked are free again
 * soon after it vanished.
 */
const apiSession = { statement_timeout: "10s", idle_in_transaction_session_timeout: "10s" };

/**
 * Reads the settings of `program`, connects to PostgreSQL and checks that its schema is this version's.
 *
 * @param connectionsMax pool size; small pools win on few cores
 * @throws AppError invalid_config, database_unreachable, database_refused, schema_mismatch
 */
export async function openDeps(program: Program, connectionsMax = 4): Promise<Deps> {
  const config = parseConfig(readEnvironment(), program);
  const log = createLog(config.LOG_LEVEL);
  if (program === "api" && config.SHORT_SECRET_KEY === "allow") {
    log.warn(
      "SHORT_SECRET_KEY=allow: tokens are signed with a key under 32 bytes; change it when the old ones expired",
    );
  }
  const sql = connect(config.DATABASE_URL, {
    max: connectionsMax,
    name: `contactsheet ${program}`,
    silentMsMax,
    session: program === "api" ? apiSession : {},
  });
  try {
    await requireSchema(sql);
  } catch (error) {
    await sql.end({ timeout: 0 });
    throw connectError(error, config.DATABASE_URL);
  }
  return {
    config,
    log,
    metrics: createMetrics(),
    sql,
    async [Symbol.asyncDispose]() {
      await sql.end({ timeout: 2 });
    },
  };
}

/** A login waits for hashing anyway; one that Redis keeps waiting is better told to come again. */
const redisMsMax = 1000;

/**
 * The same for the API, with Redis, which it can start without: a warning is logged, and logins are put off until it is
 * there.
 *
 * @throws AppError as {@link openDeps}
 */
export async function openApiDeps(): Promise<ApiDeps> {
  const deps = await openDeps("api");
  const { config, log, metrics } = deps;
  const redis = openRedis({
    url: config.REDIS_URL,
    restUrl: config.UPSTASH_REDIS_REST_URL,
    restToken: config.UPSTASH_REDIS_REST_TOKEN,
    timeoutMs: redisMsMax,
  });
  redis.check().catch((error) =>
    log.warn("logins are put off until Redis is there", {
      why: error instanceof AppError ? error.message : String(error),
    })
  );
  const limiter = createLimiter(redis.redis, "logins", config.SECRET_KEY);
  return {
    ...deps,
    redis,
    throttle: createSharedThrottle({ limiter, log, metrics }),
    async [Symbol.asyncDispose]() {
      await redis.close();
      await deps[Symbol.asyncDispose]();
    },
  };
}
