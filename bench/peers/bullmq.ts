/** BullMQ on Redis: jobs added in bulk, taken by one Worker, their results written to PostgreSQL by its processor. */
import { Queue, Worker } from "bullmq";
import { runMain } from "../../process.ts";
import { listJobs, openWork, type PeerJob, readOrder, stay, waitForGo } from "./peer.ts";

const name = "bench";
const perCall = 1_000;

await runMain(async () => {
  const order = readOrder();
  const connection = { url: order.redisUrl, maxRetriesPerRequest: null };
  const { sql, work } = openWork(order);
  const queue = new Queue<PeerJob>(name, { connection });
  const jobs = await listJobs(sql, order.taskId);
  const options = { removeOnComplete: true, attempts: 3 };
  for (let i = 0; i < jobs.length; i += perCall) {
    await queue.addBulk(jobs.slice(i, i + perCall).map((data) => ({ name, data, opts: options })));
  }
  const worker = new Worker<PeerJob>(name, ({ data }) => work(data), {
    connection,
    concurrency: order.slots,
    autorun: false,
  });
  worker.on("error", (error) => {
    throw error;
  });
  await worker.waitUntilReady();
  await waitForGo();
  void worker.run();
  await stay();
});
