/** graphile-worker on PostgreSQL, with its local queue and batched completion, as its guide advises for load. */
import { Logger, makeWorkerUtils, run } from "graphile-worker";
import { runMain } from "../../process.ts";
import { listJobs, openProcessor, type PeerJob, readInput, waitForever, waitForStart } from "./peer.ts";

const name = "bench";
const jobsPerCall = 1_000;
const logger = new Logger(() => () => {});

await runMain(async () => {
  const input = readInput();
  const { sql, processJob } = openProcessor(input);
  const utils = await makeWorkerUtils({ connectionString: input.url, logger });
  await utils.migrate();
  const jobs = await listJobs(sql, input.taskId);
  for (let i = 0; i < jobs.length; i += jobsPerCall) {
    await utils.addJobs(
      jobs.slice(i, i + jobsPerCall).map((payload) => ({ identifier: name, payload, maxAttempts: 3 })),
    );
  }
  await waitForStart();
  await run({
    preset: {
      worker: {
        connectionString: input.url,
        concurrentJobs: input.slots,
        maxPoolSize: 6,
        logger,
        localQueue: { size: 4 * input.slots },
        completeJobBatchDelay: 2,
        failJobBatchDelay: 2,
      },
    },
    taskList: { [name]: (payload) => processJob(payload as PeerJob) },
  });
  await waitForever();
});
