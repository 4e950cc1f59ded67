/** graphile-worker in PostgreSQL: its local queue and batched completion switched on, as its guide advises for load. */
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { runMain } from "../../process.ts";
import { listJobs, openWork, type PeerJob, readOrder, stay, waitForGo } from "./peer.ts";

const name = "bench";
const perCall = 1_000;
const logger = new Logger(() => () => {});

await runMain(async () => {
  const order = readOrder();
  const { sql, work } = openWork(order);
  const utils = await makeWorkerUtils({ connectionString: order.url, logger });
  await utils.migrate();
  const jobs = await listJobs(sql, order.taskId);
  for (let i = 0; i < jobs.length; i += perCall) {
    await utils.addJobs(
      jobs.slice(i, i + perCall).map((payload) => ({ identifier: name, payload, maxAttempts: 3 })),
    );
  }
  await waitForGo();
  await run({
    preset: {
      worker: {
        connectionString: order.url,
        concurrentJobs: order.slots,
        maxPoolSize: 6,
        logger,
        localQueue: { size: 4 * order.slots },
        completeJobBatchDelay: 2,
        failJobBatchDelay: 2,
      },
    },
    taskList: { [name]: (payload) => work(payload as PeerJob) },
  });
  await stay();
});
