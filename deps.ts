/** Opens the dependencies of a process and closes them in reverse order. */
import { type Config, parseConfig, type Program, readEnvironment } from "./config.ts";
import { connect, connectError, listIgnoredParameters, ping, type Pool } from "./db/pg/connect.ts";
import { requirePooling } from "./db/pg/pooler.ts";
import type { Replica } from "./db/pg/replica.ts";
import { requireServer } from "./db/pg/server.ts";
import { AppError } from "./errors.ts";
import { createLimiter } from "./redis/limiter.ts";
import { openRedis, type RedisConnection } from "./redis/connect.ts";
import { createLog, type Log } from "./log.ts";
import { createMetrics, type Metrics } from "./metrics.ts";
import { createSchemaCheck, requireSchema } from "./migrate/schema/runner.ts";
import type { Check } from "./ops.ts";
import { openReplica } from "./routes/common/replica.ts";
import { createSharedThrottle } from "./routes/common/shared_throttle.ts";
import type { LoginThrottle } from "./routes/common/throttle.ts";

export interface Deps extends AsyncDisposable {
  config: Config;
  log: Log;
  metrics: Metrics;
  sql: Pool;
  /** What must succeed before the process is ready, by name. */
  checks: Record<string, Check>;
}

/** Dependencies of the API. It counts logins in Redis. */
export interface ApiDeps extends Deps {
  redis: RedisConnection;
  throttle: LoginThrottle;
  /** The replica that answers reads, if DATABASE_READ_URL is set. */
  replica: Replica | undefined;
  /** Checks whether Redis can count logins. @throws AppError redis_unreachable */
  checkRedis: () => Promise<void>;
}

/** Maximum silence of a database connection. Every statement is shorter, including its wait for a lock. */
const silentMsMax = 15_000;

/**
 * Session settings of the API. Statements end before clients stop waiting, and locks are released soon after
 * an API process vanished. Both times are shorter than `silentMsMax`.
 */
const apiSession = { statement_timeout: "10s", idle_in_transaction_session_timeout: "10s" };

/**
 * Reads the settings of `program`, connects to PostgreSQL and checks the version of its schema.
 *
 * @param connectionsMax size of the pool; small pools are faster on few cores
 * @throws AppError invalid_config, database_unreachable, database_refused, database_unsuitable,
 * schema_mismatch
 */
export async function openDeps(program: Program, connectionsMax = 4): Promise<Deps> {
  const config = parseConfig(readEnvironment(), program);
  const log = createLog(config.LOG_LEVEL);
  if (program === "api" && config.SHORT_SECRET_KEY === "allow") {
    log.warn(
      "SHORT_SECRET_KEY=allow: tokens are signed with a key shorter than 32 bytes; " +
        "change the key after the old tokens have expired",
    );
  }
  const sql = connect(config.DATABASE_URL, {
    max: connectionsMax,
    name: `contactsheet ${program}`,
    silentMsMax,
    session: program === "api" ? apiSession : {},
    directUrl: config.DATABASE_DIRECT_URL,
  });
  for (const { name, reason } of listIgnoredParameters(config.DATABASE_URL)) {
    log.warn("a parameter of DATABASE_URL has no effect", { name, reason });
  }
  try {
    await requirePooling(config.DATABASE_URL, config.DATABASE_DIRECT_URL);
    const obstacle = await requireServer(sql);
    if (obstacle !== undefined) log.warn("the database permits no writes", { reason: obstacle });
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
    checks: { database: () => ping(sql), schema: createSchemaCheck(sql) },
    async [Symbol.asyncDispose]() {
      await sql.end({ timeout: 1 });
    },
  };
}

/** Names the query parameters of REDIS_URL that have no effect. */
export function warnOfIgnored(log: Log, { ignored }: RedisConnection): void {
  if (ignored.length === 0) return;
  log.warn("REDIS_URL has parameters that are ignored", { parameters: ignored.join(", ") });
}

/** Maximum wait for Redis during a login. After it, the client is asked to try again. */
const redisMsMax = 1000;

/**
 * Opens the dependencies of the API. It starts without Redis, logs a warning, and refuses logins until Redis
 * answers.
 *
 * @throws AppError as {@link openDeps}
 */
export async function openApiDeps(): Promise<ApiDeps> {
  const deps = await openDeps("api");
  const { config, log, metrics } = deps;
  const replica = await openReplica({ ...deps, session: apiSession }).catch(async (error) => {
    await deps[Symbol.asyncDispose]();
    throw error;
  });
  const redis = openRedis({
    url: config.REDIS_URL,
    restUrl: config.UPSTASH_REDIS_REST_URL,
    restToken: config.UPSTASH_REDIS_REST_TOKEN,
    timeoutMs: redisMsMax,
  });
  warnOfIgnored(log, redis);
  const limiter = createLimiter(redis.redis, "logins", config.SECRET_KEY);
  const checkRedis = () => redis.check(() => limiter.probe());
  checkRedis().catch((error) =>
    log.warn("logins are refused until Redis can count them", {
      why: error instanceof AppError ? error.message : String(error),
    })
  );
  return {
    ...deps,
    redis,
    replica,
    throttle: createSharedThrottle({ limiter, log, metrics }),
    checkRedis,
    async [Symbol.asyncDispose]() {
      await redis.close();
      await replica?.[Symbol.asyncDispose]();
      await deps[Symbol.asyncDispose]();
    },
  };
}
