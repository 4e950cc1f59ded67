/** Workers: idle before the switch, at work after it; what the old executor had under way is listed and drawn again. */
import assert from "node:assert/strict";
import { cutOver } from "../../../migrate/data/cutover/cutover.ts";
import { formatCutover } from "../../../migrate/data/cutover/format.ts";
import { startRig as startQueueRig } from "../../support/queue_rig.ts";
import { waitFor } from "../../support/wait.ts";
import { startSync } from "../support/followed.ts";
import { mongod } from "../support/sources.ts";
import { keep, makeReady, startRig } from "./rig.ts";

const idleMs = 3000;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

Deno.test({
  name: "a worker draws nothing of the old backend before the switch, and everything after it",
  ignore: !mongod,
  async fn(t) {
    await using rig = await startRig({ tasks: 4 });
    const { sql, followed: { db } } = rig;
    const sync = startSync(sql, rig.followed);
    await using _sync = sync;
    await makeReady(rig);
    // The database belongs to the other rig.
    const database = Object.assign({}, rig.database, { [Symbol.asyncDispose]: async () => {} });
    await using queue = await startQueueRig({ database });
    const worker = await queue.startWorker();
    await using context = await rig.context();

    await t.step("idle while the old backend is in charge", async () => {
      const [held] = await sql`select count(*)::int as n from tasks where hold = 'import'`;
      assert.equal(held!.n, 4);
      await pause(idleMs);
      assert.equal(queue.api.posts.length, 0);
    });
    await t.step(
      "the cut-over lists what the old executor has under way, up to its last change",
      async () => {
        const subtasks = db.collection("dramatiq_tasks");
        const some = await subtasks.find().limit(2).toArray();
        const ids = some.map(({ _id }) => _id);
        await subtasks.updateMany({ _id: { $in: ids } }, {
          $set: { status: "processing", updated_at: new Date() },
        });
        const options = keep({ unfinished: "resume", accept: ["executor_quiet"] });
        const result = await cutOver(context, options);
        assert.equal(result.under_way_total, 2);
        assert.deepEqual(
          result.under_way.map(({ subtask }) => subtask).sort(),
          ids.map((id) => id.toHexString()).sort(),
        );
        const text = formatCutover(result);
        assert.match(
          text,
          /the old executor had 2 cells under way, each of which may be drawn and paid for again:/,
        );
        assert.equal(result.start.tasks_resumed, 4);
        assert.equal(result.start.cells_resumed, 12);
      },
    );
    await t.step("the worker draws each unfinished cell once", async () => {
      await waitFor("the tasks to end", async () => {
        const [left] = await sql`select count(*)::int as n from tasks where status <> 'completed'`;
        return left!.n === 0;
      }, 60_000);
      assert.equal(queue.api.posts.length, 12);
    });
    await worker.stop();
  },
});
