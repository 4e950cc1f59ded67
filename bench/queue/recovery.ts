/** Recovery after faults: killed workers, a wiped Redis, and a Redis that is down for two seconds. */
import { startImageApi } from "../../dev/servers/image_api.ts";
import { type LocalRedis, startRedis } from "../../dev/servers/redis.ts";
import type { Http, HttpRequest } from "../../http.ts";
import { atMost, quantile, rangeOf, type Report } from "../report.ts";
import {
  axisLengths,
  type BenchDatabase,
  type Harness,
  readProgress,
  sleep,
  submit,
  waitUntil,
  withWorker,
} from "./harness.ts";

const main = new URL("../../jobs/main.ts", import.meta.url).pathname;
const slotsEach = 6;

type Child = { process: Deno.ChildProcess; worker: string };

/** Starts a worker process and reads its name. */
async function spawnWorker(env: Record<string, string>): Promise<Child> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", main, "--slots", String(slotsEach), "--queues", "standard"],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const decoder = new TextDecoder();
  const named = Promise.withResolvers<string>();
  void (async () => {
    let output = "";
    for await (const bytes of process.stdout) {
      output += decoder.decode(bytes, { stream: true });
      const found = /\{"worker":"([^"]+)"\}/.exec(output);
      if (found) named.resolve(found[1]!);
    }
    named.reject(new Error(`a worker ended during its start: ${output}`));
  })();
  return { process, worker: await named.promise };
}

interface LeasedCell {
  id: string;
  remote_id: string | null;
  worker_id: string;
}

const listRunning = (database: BenchDatabase) =>
  database.sql<LeasedCell[]>`select id, remote_id, worker_id from subtasks where status = 'processing'`;

/**
 * Kills a worker and waits until other workers claim its cells.
 *
 * @returns the time until each cell was claimed in ms, and the number of jobs that were paid for again
 */
async function measureKill(
  database: BenchDatabase,
  { process, worker }: Child,
): Promise<{ times: number[]; again: number }> {
  const leased = (await listRunning(database)).filter(({ worker_id }) => worker_id === worker);
  process.kill("SIGKILL");
  const killedAt = performance.now();
  await process.status;
  const times = new Map<string, number>();
  let again = 0;
  await waitUntil("other workers to claim the cells", async () => {
    const now = new Map((await listRunning(database)).map((row) => [row.id, row]));
    for (const { id, remote_id } of leased) {
      const row = now.get(id);
      if (times.has(id) || !row || row.worker_id === worker) continue;
      times.set(id, performance.now() - killedAt);
      if (remote_id !== null && row.remote_id !== remote_id) again++;
    }
    return times.size === leased.length;
  }, { ms: 40_000, everyMs: 25 });
  return { times: [...times.values()], again };
}

/** Reports how soon other workers claim the cells of killed workers, and how many jobs were paid for twice. */
export async function measureKills(
  harness: Harness,
  report: Report,
  { kills }: { kills: number },
): Promise<void> {
  await harness.flushRedis();
  await using database = await harness.createDatabase();
  await using api = await startImageApi({ delayMs: 120_000 });
  const env = {
    DATABASE_URL: database.url,
    REDIS_URL: harness.redis.url,
    IMAGE_API_URL: api.url,
    NIETA_XTOKEN: "t",
    IMAGE_POLLING_INTERVAL: "0.5",
    IMAGE_MAX_POLLING_ATTEMPTS: "10000",
    LOG_LEVEL: "ERROR",
    TASK_EXECUTOR_MIN_CONCURRENT: String(2 * kills * slotsEach),
    TASK_EXECUTOR_MAX_CONCURRENT: String(2 * kills * slotsEach),
  };
  const children = await Promise.all(Array.from({ length: 2 * kills }, () => spawnWorker(env)));
  try {
    const cells = slotsEach * kills;
    // As many cells as the slots of the workers to kill.
    await submit(database, [cells]);
    await waitUntil("the remote ids of all jobs", async () => {
      const running = await listRunning(database);
      return running.filter(({ remote_id }) => remote_id !== null).length === cells;
    });
    const busy = new Set((await listRunning(database)).map(({ worker_id }) => worker_id));
    const victims = children.filter(({ worker }) => busy.has(worker)).slice(0, kills);
    const ends = [];
    for (const victim of victims) {
      ends.push(measureKill(database, victim));
      await sleep(1_700);
    }
    const all = await Promise.all(ends);
    const times = all.flatMap((end) => end.times).map((ms) => ms / 1000);
    const p99 = quantile(times, 0.99);
    report({
      what: `kill -9 of ${victims.length} workers: time until a cell is claimed again, p99`,
      value: p99,
      unit: "s",
      spread: rangeOf(times),
      goal: atMost(p99, 4, "s"),
    });
    const again = all.reduce((sum, end) => sum + end.again, 0);
    report({
      what: "POSTs for cells whose remote id was saved",
      value: again,
      unit: "",
      goal: atMost(again, 0, ""),
      note: `${api.posts.length} POSTs for ${cells} cells`,
    });
  } finally {
    for (const { process } of children) {
      try {
        process.kill("SIGKILL");
      } catch {
        // It was killed before.
      }
    }
    await Promise.all(children.map(({ process }) => process.status));
  }
}

const steadyLoad = { slots: 40, jobMs: 250 };

/** Creates an in-process image API with jobs of 250 ms, so that the slots limit the rate and not the machine. */
function createSteadyImageApi(): Http {
  let jobCount = 0;
  const answer = (text: string) => ({ kind: "answer" as const, status: 200, headers: new Headers(), text });
  return async ({ method }: HttpRequest) => {
    if (method === "POST") return answer(`"job-${++jobCount}"`);
    await sleep(steadyLoad.jobMs);
    return answer('{"task_status":"SUCCESS","artifacts":[{"url":"http://i/1.png"}]}');
  };
}

/** The number of completed cells at a time. */
interface Sample {
  at: number;
  done: number;
}

/** Returns the cells completed per second in the second after `from`, or undefined if it was not sampled completely. */
function rateFrom(samples: Sample[], from: number): number | undefined {
  const first = samples.find(({ at }) => at >= from);
  const last = samples.find(({ at }) => at >= from + 1_000);
  return first && last ? (last.done - first.done) / ((last.at - first.at) / 1000) : undefined;
}

/**
 * Injects a fault of Redis under a steady load while tasks are submitted.
 *
 * @param injectFault resolves when Redis is available again
 * @returns the seconds from then until the start of the first second at 95 % of the previous rate, and failed submissions
 */
async function timeRecovery(harness: Harness, redis: LocalRedis, injectFault: () => Promise<void>) {
  await using database = await harness.createDatabase();
  const task = await submit(database, axisLengths(12_000));
  return await withWorker(
    database,
    { url: redis.url },
    { slots: steadyLoad.slots, http: createSteadyImageApi() },
    async () => {
      const samples: Sample[] = [];
      let failed = 0;
      let submitted = 0;
      let over = false;
      const submitting = (async () => {
        for (; !over; submitted++) {
          await submit(database, [1]).catch(() => failed++);
          await sleep(300);
        }
      })();
      const watching = (async () => {
        while (!over) {
          const { done } = await readProgress(database.sql, task);
          samples.push({ at: performance.now(), done });
          await sleep(40);
        }
      })();
      await sleep(4_500);
      const before = samples.filter(({ at }) => at > samples.at(-1)!.at - 3_000);
      const rate = (before.at(-1)!.done - before[0]!.done) / ((before.at(-1)!.at - before[0]!.at) / 1000);
      await injectFault();
      const back = performance.now();
      const reached = await waitUntil(
        "the previous rate",
        () => samples.find(({ at }) => at >= back && (rateFrom(samples, at) ?? 0) >= 0.95 * rate),
        { ms: 30_000 },
      );
      over = true;
      await Promise.all([submitting, watching]);
      return { seconds: (reached.at - back) / 1000, rate, failed, submitted };
    },
  );
}

/** Reports how soon the previous rate is reached after Redis was wiped, and after it was down for two seconds. */
export async function measureRedisFaults(harness: Harness, report: Report): Promise<void> {
  await harness.flushRedis();
  const wiped = await timeRecovery(harness, harness.redis, () => harness.flushRedis());
  let redis = await startRedis();
  const port = Number(new URL(redis.url).port);
  const restartRedis = async () => {
    await redis.stop();
    await sleep(2_000);
    redis = await startRedis({ port });
  };
  const restarted = await timeRecovery(harness, redis, restartRedis).finally(() => redis.stop());
  const rateMax = steadyLoad.slots * 1000 / steadyLoad.jobMs;
  for (const [what, { seconds, rate }] of [["FLUSHALL", wiped], ["Redis down for 2 s", restarted]] as const) {
    report({
      what: `${what}: time until 95 % of the previous rate`,
      value: seconds,
      unit: "s",
      goal: atMost(seconds, 5, "s"),
      note: `previous rate: ${rate.toFixed(0)} of ${rateMax} cells/s`,
    });
  }
  const failed = wiped.failed + restarted.failed;
  report({
    what: "submissions that failed during the faults",
    value: failed,
    unit: "",
    goal: atMost(failed, 0, ""),
    note: `of ${wiped.submitted + restarted.submitted}`,
  });
}
