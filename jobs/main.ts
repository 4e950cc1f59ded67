/** The worker process: works until SIGTERM, or carries out one command of its command line. */
import { openDeps, warnOfIgnored } from "../deps.ts";
import { print, runMain } from "../process.ts";
import { serveOps } from "../ops.ts";
import { parseCommand } from "./commands.ts";
import { runCommand } from "./run_command.ts";
import { openRedis } from "../redis/connect.ts";
import { Streams } from "../redis/stream.ts";
import { runWorker } from "./worker.ts";

async function main(signal: AbortSignal): Promise<number> {
  const command = parseCommand(Deno.args);
  if (!command) return 0;
  await using deps = await openDeps("worker", command.kind === "work" ? 6 : 2);
  const { config, metrics, checks } = deps;
  await using redis = openRedis({
    url: config.REDIS_URL,
    restUrl: config.UPSTASH_REDIS_REST_URL,
    restToken: config.UPSTASH_REDIS_REST_TOKEN,
  });
  if (command.kind !== "work") return await runCommand({ ...deps, redis }, command);
  warnOfIgnored(deps.log, redis);
  const streams = new Streams(redis);
  // The worker works from PostgreSQL while Redis does not answer, or while entries cannot be added.
  const optionalChecks = {
    redis: () => redis.check(),
    redis_writes: () => redis.check(() => streams.probe()),
  };
  serveOps(config, { metrics, checks, optionalChecks, draining: signal });
  await runWorker(
    { ...deps, ...command.flags, redis, onReady: (worker) => print(JSON.stringify({ worker })) },
    signal,
  );
  return 0;
}

if (import.meta.main) await runMain(main);
