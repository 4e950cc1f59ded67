/** A complete run of a task over both transports. */
import assert from "node:assert/strict";
import { readSubtasks, readTask, startRig, waitForEnd } from "../support/queue_rig.ts";

for (const transport of ["tcp", "rest"] as const) {
  Deno.test(`a task of 3 × 4 cells is drawn over ${transport} with one POST per cell and exact counters`, async () => {
    await using rig = await startRig({ transport });
    await rig.startWorker();
    const task = await rig.submit(["a cat", "a dog", "a fox"], [1, 2, 3, 4]);
    const ended = await waitForEnd(rig.sql, task);
    assert.deepEqual(ended, {
      status: "completed",
      all_subtasks_completed: true,
      subtasks_total: 12,
      subtasks_completed: 12,
      subtasks_failed: 0,
      subtasks_cancelled: 0,
      cancelling: false,
      notices: ["submitted", "completed"],
    });
    assert.equal(rig.api.posts.length, 12);
    const subtasks = await readSubtasks(rig.sql, task);
    for (const { status, retry_count, attempt, error, lease_id, worker_id, image_url, result } of subtasks) {
      assert.deepEqual(
        { status, retry_count, attempt, error, lease_id, worker_id },
        { status: "completed", retry_count: 0, attempt: 1, error: null, lease_id: null, worker_id: null },
      );
      assert.equal(JSON.parse(result!).url, image_url);
    }
    assert.deepEqual(await readTask(rig.sql, task), ended);
  });
}
