/** pg-boss in PostgreSQL: jobs inserted in bulk, fetched in full batches without a pause between them. */
import { PgBoss } from "pg-boss";
import { runMain } from "../../process.ts";
import { listJobs, openWork, type PeerJob, readOrder, stay, waitForGo } from "./peer.ts";

const name = "bench";
const fetchers = 2;
const perCall = 1_000;

await runMain(async () => {
  const order = readOrder();
  const { sql, work } = openWork(order);
  const boss = new PgBoss({ connectionString: order.url, max: 6 });
  boss.on("error", (error) => {
    throw error;
  });
  await boss.start();
  await boss.createQueue(name);
  const jobs = await listJobs(sql, order.taskId);
  for (let i = 0; i < jobs.length; i += perCall) {
    await boss.insert(name, jobs.slice(i, i + perCall).map((data) => ({ data, retryLimit: 3 })));
  }
  await waitForGo();
  const options = {
    localConcurrency: fetchers,
    batchSize: Math.max(2, Math.floor(order.slots / fetchers)),
    pollingIntervalSeconds: 0.5,
    burstWhenBatchFull: true,
  };
  await boss.work<PeerJob>(name, options, async (batch) => {
    await Promise.all(batch.map(({ data }) => work(data)));
  });
  await stay();
});
