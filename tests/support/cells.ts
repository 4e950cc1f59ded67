/** Moves of cells without workers, for tests of what people do with a queue. */
import type { Pool } from "../../db/pg/connect.ts";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import { type Claimed, claimSubtasks, type Settlement } from "../../db/queue/subtasks.ts";
import { insertWorker } from "../../db/queue/workers.ts";

/** Signs a worker in that exists by its row alone. */
export const join = (sql: Pool, id = "a"): Promise<void> =>
  insertWorker(sql, { id, host: "h", pid: 1, queues: ["standard"] });

/** Has it claim whatever is to be dispatched. */
export const claim = async (sql: Pool, limit = 100, worker = "a"): Promise<Claimed[]> =>
  await claimSubtasks(sql, worker, await listDispatchable(sql, "standard", limit));

export const done = (subtask: Claimed): Settlement => ({
  ...subtask,
  status: "completed",
  result: '{"url":"http://i/1.png"}',
  image_url: "http://i/1.png",
  error: null,
});

/** An end after two attempts. */
export const failed = (subtask: Claimed, reason = "图像接口返回 HTTP 500"): Settlement => ({
  ...subtask,
  status: "failed",
  retry_count: 2,
  result: null,
  image_url: null,
  outcome: "error",
  reason,
  error: `已尝试 2 次: ${reason}`,
});
