/** pg-boss on PostgreSQL: jobs are inserted in bulk and fetched in full batches without a pause. */
import { PgBoss } from "pg-boss";
import { runMain } from "../../process.ts";
import { listJobs, openProcessor, type PeerJob, readInput, waitForever, waitForStart } from "./peer.ts";

const name = "bench";
const fetchers = 2;
const jobsPerCall = 1_000;

await runMain(async () => {
  const input = readInput();
  const { sql, processJob } = openProcessor(input);
  const boss = new PgBoss({ connectionString: input.url, max: 6 });
  boss.on("error", (error) => {
    throw error;
  });
  await boss.start();
  await boss.createQueue(name);
  const jobs = await listJobs(sql, input.taskId);
  for (let i = 0; i < jobs.length; i += jobsPerCall) {
    await boss.insert(name, jobs.slice(i, i + jobsPerCall).map((data) => ({ data, retryLimit: 3 })));
  }
  await waitForStart();
  const options = {
    localConcurrency: fetchers,
    batchSize: Math.max(2, Math.floor(input.slots / fetchers)),
    pollingIntervalSeconds: 0.5,
    burstWhenBatchFull: true,
  };
  await boss.work<PeerJob>(name, options, async (batch) => {
    await Promise.all(batch.map(({ data }) => processJob(data)));
  });
  await waitForever();
});
