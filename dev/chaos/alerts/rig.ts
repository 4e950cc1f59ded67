/** The rig of the fire drill: the product's processes, its servers, and Prometheus. */
import { connect, type Pool } from "../../../db/pg/connect.ts";
import { submitTask } from "../../../jobs/moves/submit.ts";
import { silentLog } from "../../../log.ts";
import { migrateUp } from "../../../migrate/schema/runner.ts";
import { createTokens } from "../../../routes/common/tokens.ts";
import { startImageApi } from "../../servers/image_api.ts";
import { findFreePort } from "../../servers/ports.ts";
import { startPostgres } from "../../servers/postgres.ts";
import { startRedis } from "../../servers/redis.ts";
import { originOf, type Spawned, spawnProgram } from "../../servers/spawn.ts";
import { type Proxy, startProxy } from "../proxy.ts";
import { insertUser, makeBody } from "../users.ts";
import { type Prometheus, startPrometheus, type Target } from "./prometheus.ts";

/** What a condition can use. */
export interface DrillRig {
  prometheus: Prometheus;
  sql: Pool;
  /** The way of all processes to PostgreSQL and to Redis. */
  postgres: Proxy;
  redis: Proxy;
  api: Spawned;
  worker: Spawned;
  /** Base URLs of the API, and of an API before an old backend that does not answer. */
  origin: string;
  /** Token of a user of v1. */
  token: string;
  frontOrigin: string;
  /** Settings of a program, for the worker's commands. */
  env: Record<string, string>;
  /** Submits a task with one cell for each prompt. */
  submit(prompts: string[]): Promise<string>;
}

const secret = "0123456789abcdef0123456789abcdef";

/** Opens everything, runs `work`, and closes everything. */
export async function withRig<T>(work: (rig: DrillRig) => Promise<T>): Promise<T> {
  await using resources = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-drill-" });
  const server = resources.use(await startPostgres({ folder, keep: false, durable: false }));
  const sql = connect(server.url("postgres"), { max: 2 });
  resources.defer(() => sql.end({ timeout: 1 }));
  await migrateUp(sql);
  const redisServer = resources.use(await startRedis());
  const images = resources.use(await startImageApi());
  const url = new URL(server.url("postgres"));
  const postgres = resources.use(startProxy(Number(url.port)));
  const redis = resources.use(startProxy(Number(new URL(redisServer.url).port)));
  url.port = String(postgres.port);
  const env = {
    DATABASE_URL: url.href,
    REDIS_URL: `redis://127.0.0.1:${redis.port}/0`,
    SECRET_KEY: secret,
    HOST: "127.0.0.1",
    PORT: "0",
    IMAGE_API_URL: images.url,
    LUMINA_API_URL: images.luminaUrl,
    NIETA_XTOKEN: "x",
    IMAGE_POLLING_INTERVAL: "0.1",
    LOG_LEVEL: "error",
  };
  const targets: Target[] = [];
  const spawn = async (name: "start" | "api" | "worker", job: string, more: Record<string, string> = {}) => {
    const port = findFreePort();
    targets.push({ job, port });
    return resources.use(await spawnProgram(name, { ...env, ADMIN_PORT: String(port), ...more }));
  };
  const api = await spawn("start", "contactsheet-api", { API_PROCESSES: "2", PORT: String(findFreePort()) });
  const front = await spawn("api", "contactsheet-front", { LEGACY_API_URL: "http://127.0.0.1:9" });
  const worker = await spawn("worker", "contactsheet-worker");
  const prometheus = resources.use(await startPrometheus(targets));
  const user = await insertUser(sql);
  return await work({
    prometheus,
    sql,
    postgres,
    redis,
    api,
    worker,
    origin: originOf(api),
    token: await createTokens(secret, 60).sign({ sub: user.id, email: user.email }),
    frontOrigin: originOf(front),
    env,
    async submit(prompts) {
      const task = await submitTask({ sql, log: silentLog }, {
        user,
        taskName: crypto.randomUUID(),
        ...makeBody(prompts),
        settings: new Map(),
      });
      return task.id;
    },
  });
}
