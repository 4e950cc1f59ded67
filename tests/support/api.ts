/** The API on a real socket with its own database. */
import { type Config, parseConfig } from "../../config.ts";
import { connect, type Pool } from "../../db/pg/connect.ts";
import { createLog, type Level, type Log } from "../../log.ts";
import { createMetrics, type Metrics } from "../../metrics.ts";
import { createApp } from "../../routes/app.ts";
import { openFront } from "../../routes/front/open.ts";
import { createPasswords } from "../../routes/common/passwords.ts";
import { createThrottle, type LoginThrottle, type ThrottleLimits } from "../../routes/common/throttle.ts";
import { createTokens, type Tokens } from "../../routes/common/tokens.ts";
import { createDatabase, type TestDatabase } from "./database.ts";
import { findSecret, secret } from "./secrets.ts";

export { secret };

/** A running API. */
export interface TestApi extends AsyncDisposable {
  origin: string;
  port: number;
  database: TestDatabase;
  /** Pool of the API; `database.sql` is the pool of the test. */
  sql: Pool;
  config: Config;
  tokens: Tokens;
  metrics: Metrics;
  /** Parsed log lines so far. */
  lines: Record<string, unknown>[];
}

/** Options of an API under test. */
export interface TestApiOptions {
  env?: Record<string, string>;
  limits?: ThrottleLimits;
  /** Throttle to use instead of one in memory with `limits`. */
  throttle?: LoginThrottle;
  level?: Level;
  /** Password hashing: 2^cost rounds, and the maximum number of waiting checks. */
  hashing?: { cost?: number; waitingMax?: number };
  bodyMsMax?: number;
  /** Time between the doctor's two looks. */
  doctorSettleMs?: number;
  /** Database to use instead of a new one; it is not dropped at the end. */
  database?: TestDatabase;
}

/** Limits that no test reaches. */
const noLimits: ThrottleLimits = {
  address: { burst: 1e6, perSecond: 1e6 },
  email: { burst: 1e6, perSecond: 1e6 },
  overall: { burst: 1e6, perSecond: 1e6 },
};

/** Starts the API on a free port. */
export async function startApi(
  {
    env = {},
    limits = noLimits,
    throttle,
    level = "info",
    hashing = {},
    bodyMsMax = 30_000,
    doctorSettleMs = 0,
    database: given,
  }: TestApiOptions = {},
): Promise<TestApi> {
  const database = given ?? await createDatabase();
  const config = parseConfig({
    DATABASE_URL: database.url,
    SECRET_KEY: secret,
    SHORT_SECRET_KEY: "allow",
    ...env,
  }, "api");
  const lines: Record<string, unknown>[] = [];
  const log: Log = createLog(level, (line) => lines.push(JSON.parse(line)));
  const passwords = createPasswords({ cost: 4, ...hashing });
  const tokens = createTokens(config.SECRET_KEY, config.ACCESS_TOKEN_EXPIRE_MINUTES);
  const metrics = createMetrics();
  const sql = connect(database.url, { max: 4, silentMsMax: 15_000 });
  const deps = { sql, log, metrics, config, passwords, tokens };
  const front = await openFront(deps);
  const app = createApp({
    ...deps,
    bodyMsMax,
    doctorSettleMs,
    throttle: throttle ?? createThrottle(limits),
    front: front?.front,
  });
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, app.fetch);
  const { port } = server.addr;
  return {
    origin: `http://127.0.0.1:${port}`,
    port,
    database,
    sql,
    config,
    tokens,
    metrics,
    lines,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await front?.[Symbol.asyncDispose]();
      passwords[Symbol.dispose]();
      await sql.end({ timeout: 1 });
      if (!given) await database[Symbol.asyncDispose]();
      const found = lines.find((line) => findSecret(JSON.stringify(line)) !== undefined);
      if (found) {
        throw new Error(`the log of the API has ${findSecret(JSON.stringify(found))}: '${found.msg}'`);
      }
    },
  };
}
