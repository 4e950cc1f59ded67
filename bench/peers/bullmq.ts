/** BullMQ on Redis: jobs are added in bulk, and the processor of one Worker writes results to PostgreSQL. */
import { Queue, Worker } from "bullmq";
import { runMain } from "../../process.ts";
import { listJobs, openProcessor, type PeerJob, readInput, waitForever, waitForStart } from "./peer.ts";

const name = "bench";
const jobsPerCall = 1_000;

await runMain(async () => {
  const input = readInput();
  const connection = { url: input.redisUrl, maxRetriesPerRequest: null };
  const { sql, processJob } = openProcessor(input);
  const queue = new Queue<PeerJob>(name, { connection });
  const jobs = await listJobs(sql, input.taskId);
  const options = { removeOnComplete: true, attempts: 3 };
  for (let i = 0; i < jobs.length; i += jobsPerCall) {
    await queue.addBulk(jobs.slice(i, i + jobsPerCall).map((data) => ({ name, data, opts: options })));
  }
  const worker = new Worker<PeerJob>(name, ({ data }) => processJob(data), {
    connection,
    concurrency: input.slots,
    autorun: false,
  });
  worker.on("error", (error) => {
    throw error;
  });
  await worker.waitUntilReady();
  await waitForStart();
  void worker.run();
  await waitForever();
});
