/** This project's worker, in the same harness as its peers. */
import { parseConfig } from "../../config.ts";
import { connect } from "../../db/pg/connect.ts";
import { openRedis } from "../../redis/connect.ts";
import { runWorker } from "../../jobs/worker.ts";
import { silentLog } from "../../log.ts";
import { createMetrics } from "../../metrics.ts";
import { runMain } from "../../process.ts";
import { createNoOpImageApi } from "./no_op.ts";
import { readInput, waitForStart } from "./peer.ts";

await runMain(async (signal) => {
  const { url, redisUrl, slots } = readInput();
  const sql = connect(url, { max: 6 });
  await sql`select 1`;
  const slotSettings = {
    TASK_EXECUTOR_MIN_CONCURRENT: String(slots),
    TASK_EXECUTOR_MAX_CONCURRENT: String(slots),
  };
  const env = { DATABASE_URL: url, IMAGE_API_URL: "http://h", NIETA_XTOKEN: "t", ...slotSettings };
  await using redis = openRedis({ url: redisUrl });
  await redis.check();
  await waitForStart();
  const config = parseConfig(env, "worker");
  await runWorker(
    { sql, redis, log: silentLog, metrics: createMetrics(), config, http: createNoOpImageApi(), slots },
    signal,
  );
});
