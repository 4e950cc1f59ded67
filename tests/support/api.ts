/** The API on a real socket, over a database of its own. */
import { type Config, parseConfig } from "../../config.ts";
import { connect, type Pool } from "../../db/pg/connect.ts";
import { createLog, type Level, type Log } from "../../log.ts";
import { createMetrics, type Metrics } from "../../metrics.ts";
import { createApp } from "../../routes/app.ts";
import { createPasswords } from "../../routes/common/passwords.ts";
import { createThrottle, type LoginThrottle, type ThrottleLimits } from "../../routes/common/throttle.ts";
import { createTokens, type Tokens } from "../../routes/common/tokens.ts";
import { createDatabase, type TestDatabase } from "./database.ts";

/** The key that the recordings' tokens were signed with. */
export const secret = "golden-secret-key";

export interface TestApi extends AsyncDisposable {
  origin: string;
  port: number;
  database: TestDatabase;
  /** The API's own pool, opened as the program opens it; `database.sql` is the test's. */
  sql: Pool;
  config: Config;
  tokens: Tokens;
  metrics: Metrics;
  /** Every log line so far, parsed. */
  lines: Record<string, unknown>[];
}

export interface TestApiOptions {
  env?: Record<string, string>;
  limits?: ThrottleLimits;
  /** Instead of one in memory with `limits`. */
  throttle?: LoginThrottle;
  level?: Level;
  /** Of passwords: 2^cost rounds a wrong one takes, and how many may wait. */
  hashing?: { cost?: number; waitingMax?: number };
  bodyMsMax?: number;
  /** Instead of a new database; not dropped at the end. */
  database?: TestDatabase;
}

/** A throttle that no test meets unless it wants to. */
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
  const app = createApp({ ...deps, bodyMsMax, throttle: throttle ?? createThrottle(limits) });
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
      passwords[Symbol.dispose]();
      await sql.end({ timeout: 1 });
      if (!given) await database[Symbol.asyncDispose]();
    },
  };
}
