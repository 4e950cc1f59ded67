/** Our worker under the same harness: streams in Redis, claims, remote ids, fenced results, counters and events. */
import { parseConfig } from "../../config.ts";
import { connect } from "../../db/pg/connect.ts";
import { openRedis } from "../../redis/connect.ts";
import { runWorker } from "../../jobs/worker.ts";
import { silentLog } from "../../log.ts";
import { createMetrics } from "../../metrics.ts";
import { runMain } from "../../process.ts";
import { playNoOp } from "../queue/stand.ts";
import { readOrder, waitForGo } from "./peer.ts";

await runMain(async (signal) => {
  const { url, redisUrl, slots } = readOrder();
  const sql = connect(url, { max: 6 });
  await sql`select 1`;
  const room = { TASK_EXECUTOR_MIN_CONCURRENT: String(slots), TASK_EXECUTOR_MAX_CONCURRENT: String(slots) };
  const env = { DATABASE_URL: url, IMAGE_API_URL: "http://h", NIETA_XTOKEN: "t", ...room };
  await using redis = openRedis({ url: redisUrl });
  await redis.check();
  await waitForGo();
  const config = parseConfig(env, "worker");
  await runWorker(
    { sql, redis, log: silentLog, metrics: createMetrics(), config, http: playNoOp(), slots },
    signal,
  );
});
