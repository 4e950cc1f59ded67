/** The worker process: settings → dependencies → work → hand over on SIGTERM; or one order of its command line. */
import { ping } from "../db/pg/connect.ts";
import { openDeps } from "../deps.ts";
import { print, runMain } from "../process.ts";
import { createOps } from "../ops.ts";
import { parseOrder } from "./commands.ts";
import { runOrder } from "./orders.ts";
import { openRedis } from "../redis/connect.ts";
import { runWorker } from "./worker.ts";

async function main(signal: AbortSignal): Promise<number> {
  const order = parseOrder(Deno.args);
  if (!order) return 0;
  await using deps = await openDeps("worker", order.kind === "work" ? 6 : 2);
  const { config, metrics, sql } = deps;
  await using redis = openRedis({
    url: config.REDIS_URL,
    restUrl: config.UPSTASH_REDIS_REST_URL,
    restToken: config.UPSTASH_REDIS_REST_TOKEN,
  });
  if (order.kind !== "work") return await runOrder({ ...deps, redis }, order);
  const checks = { database: () => ping(sql), redis: () => redis.check() };
  const ops = createOps({ metrics, checks, draining: signal });
  if (config.ADMIN_PORT !== 0) {
    Deno.serve({ hostname: "127.0.0.1", port: config.ADMIN_PORT, onListen() {} }, ops.fetch);
  }
  await runWorker(
    { ...deps, ...order.flags, redis, onReady: (worker) => print(JSON.stringify({ worker })) },
    signal,
  );
  return 0;
}

if (import.meta.main) await runMain(main);
