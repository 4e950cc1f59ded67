/** Recovery after faults of Redis: it is wiped, or down for two seconds. */
import { type LocalRedis, startRedis } from "../../dev/servers/redis.ts";
import type { Http, HttpRequest } from "../../http.ts";
import { atMost, type Report } from "../report.ts";
import { axisLengths, type Harness, readProgress, sleep, submit, waitUntil, withWorker } from "./harness.ts";

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
