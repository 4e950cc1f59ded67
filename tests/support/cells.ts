/** Moves of cells without a running worker. */
import type { Pool } from "../../db/pg/connect.ts";
import { listDispatchable } from "../../db/queue/dispatch.ts";
import { type ClaimedSubtask, claimSubtasks, type Settlement } from "../../db/queue/subtasks.ts";
import { insertWorker } from "../../db/queue/workers.ts";

/** Registers a worker that exists only as a row. */
export const join = (sql: Pool, id = "a"): Promise<void> =>
  insertWorker(sql, { id, host: "h", pid: 1, queues: ["standard"] });

/** Claims dispatchable cells for the worker. */
export const claim = async (sql: Pool, limit = 100, worker = "a"): Promise<ClaimedSubtask[]> =>
  await claimSubtasks(sql, worker, await listDispatchable(sql, "standard", limit));

/** Returns a settlement of a completed cell. */
export const done = (subtask: ClaimedSubtask): Settlement => ({
  ...subtask,
  status: "completed",
  result: '{"url":"http://i/1.png"}',
  image_url: "http://i/1.png",
  error: null,
});

/** Returns a settlement of a cell that failed after two attempts. */
export const failed = (subtask: ClaimedSubtask, reason = "图像接口返回 HTTP 500"): Settlement => ({
  ...subtask,
  status: "failed",
  retry_count: 2,
  result: null,
  image_url: null,
  outcome: "error",
  reason,
  error: `已尝试 2 次: ${reason}`,
});
