/** The worker process: works until SIGTERM, or carries out one command of its command line. */
import { ping } from "../db/pg/connect.ts";
import { openDeps, warnOfIgnored } from "../deps.ts";
import { print, runMain } from "../process.ts";
import { createOps } from "../ops.ts";
import { parseCommand } from "./commands.ts";
import { runCommand } from "./run_command.ts";
import { openRedis } from "../redis/connect.ts";
import { Streams } from "../redis/stream.ts";
import { runWorker } from "./worker.ts";

async function main(signal: AbortSignal): Promise<number> {
  const command = parseCommand(Deno.args);
  if (!command) return 0;
  await using deps = await openDeps("worker", command.kind === "work" ? 6 : 2);
  const { config, metrics, sql } = deps;
  await using redis = openRedis({
    url: config.REDIS_URL,
    restUrl: config.UPSTASH_REDIS_REST_URL,
    restToken: config.UPSTASH_REDIS_REST_TOKEN,
  });
  if (command.kind !== "work") return await runCommand({ ...deps, redis }, command);
  warnOfIgnored(deps.log, redis);
  const checks = { database: () => ping(sql), redis: () => redis.check() };
  const streams = new Streams(redis);
  // The worker works from PostgreSQL while entries cannot be added.
  const optionalChecks = { redis_writes: () => redis.check(() => streams.probe()) };
  const ops = createOps({ metrics, checks, optionalChecks, draining: signal });
  if (config.ADMIN_PORT !== 0) {
    Deno.serve({ hostname: "127.0.0.1", port: config.ADMIN_PORT, onListen() {} }, ops.fetch);
  }
  await runWorker(
    { ...deps, ...command.flags, redis, onReady: (worker) => print(JSON.stringify({ worker })) },
    signal,
  );
  return 0;
}

if (import.meta.main) await runMain(main);
