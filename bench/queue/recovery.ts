/** What a fault costs: workers killed with -9, Redis wiped, Redis gone and back. */
import { startImageApi } from "../../dev/servers/image_api.ts";
import { type LocalRedis, startRedis } from "../../dev/servers/redis.ts";
import type { Http, HttpRequest } from "../../http.ts";
import { atMost, rank, type Report, spreadOf } from "./report.ts";
import { axesOf, type Base, readProgress, sleep, type Stand, submit, until, withWorker } from "./stand.ts";

const main = new URL("../../jobs/main.ts", import.meta.url).pathname;
const slotsEach = 6;

type Child = { process: Deno.ChildProcess; worker: string };

/** Starts the worker program as an operator does, and reads its name. */
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
    let said = "";
    for await (const bytes of process.stdout) {
      said += decoder.decode(bytes, { stream: true });
      const found = /\{"worker":"([^"]+)"\}/.exec(said);
      if (found) named.resolve(found[1]!);
    }
    named.reject(new Error(`a worker ended at its start: ${said}`));
  })();
  return { process, worker: await named.promise };
}

interface Held {
  id: string;
  remote_id: string | null;
  worker_id: string;
}

const listRunning = (base: Base) =>
  base.sql<Held[]>`select id, remote_id, worker_id from subtasks where status = 'processing'`;

/** Kills one and waits until others work on what it held. @returns times by cell in ms, and jobs paid for again */
async function killOne(base: Base, { process, worker }: Child): Promise<{ times: number[]; again: number }> {
  const held = (await listRunning(base)).filter(({ worker_id }) => worker_id === worker);
  process.kill("SIGKILL");
  const killedAt = performance.now();
  await process.status;
  const times = new Map<string, number>();
  let again = 0;
  await until("others to take over", async () => {
    const now = new Map((await listRunning(base)).map((row) => [row.id, row]));
    for (const { id, remote_id } of held) {
      const row = now.get(id);
      if (times.has(id) || !row || row.worker_id === worker) continue;
      times.set(id, performance.now() - killedAt);
      if (remote_id !== null && row.remote_id !== remote_id) again++;
    }
    return times.size === held.length;
  }, { ms: 40_000, everyMs: 25 });
  return { times: [...times.values()], again };
}

/** Reports how soon others work on what killed workers held, and what was paid twice. */
export async function measureKills(
  stand: Stand,
  report: Report,
  { kills }: { kills: number },
): Promise<void> {
  await stand.flushRedis();
  await using base = await stand.openBase();
  await using api = await startImageApi({ delayMs: 120_000 });
  const env = {
    DATABASE_URL: base.url,
    REDIS_URL: stand.redis.url,
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
    const wanted = slotsEach * kills;
    // One axis, and a worker's worth of cells for each that is to be killed.
    await submit(base, [wanted]);
    await until("all jobs to be known", async () => {
      const running = await listRunning(base);
      return running.filter(({ remote_id }) => remote_id !== null).length === wanted;
    });
    const busy = new Set((await listRunning(base)).map(({ worker_id }) => worker_id));
    const victims = children.filter(({ worker }) => busy.has(worker)).slice(0, kills);
    const ends = [];
    for (const victim of victims) {
      ends.push(killOne(base, victim));
      await sleep(1_700);
    }
    const all = await Promise.all(ends);
    const times = all.flatMap((end) => end.times).map((ms) => ms / 1000);
    const late = rank(times, 0.99);
    report({
      what: `kill -9 of ${victims.length} workers: cell worked on again, p99`,
      value: late,
      unit: "s",
      spread: spreadOf(times),
      goal: atMost(late, 10, "s"),
    });
    const again = all.reduce((sum, end) => sum + end.again, 0);
    report({
      what: "POSTs for cells whose remote id was saved",
      value: again,
      unit: "",
      goal: atMost(again, 0, ""),
      note: `${api.posts.length} POSTs for ${wanted} cells`,
    });
  } finally {
    for (const { process } of children) {
      try {
        process.kill("SIGKILL");
      } catch {
        // It was a victim.
      }
    }
    await Promise.all(children.map(({ process }) => process.status));
  }
}

const steady = { slots: 40, jobMs: 250 };

/** Jobs of a quarter second in this process: the pace is set by the slots, not by the machine. */
function playQuarter(): Http {
  let made = 0;
  const answer = (text: string) => ({ kind: "answer" as const, status: 200, headers: new Headers(), text });
  return async ({ method }: HttpRequest) => {
    if (method === "POST") return answer(`"job-${++made}"`);
    await sleep(steady.jobMs);
    return answer('{"task_status":"SUCCESS","artifacts":[{"url":"http://i/1.png"}]}');
  };
}

interface Sample {
  at: number;
  done: number;
}

/** Cells that ended in a second from `from` on, or as much of it as was sampled. */
function rateFrom(samples: Sample[], from: number): number | undefined {
  const first = samples.find(({ at }) => at >= from);
  const last = samples.find(({ at }) => at >= from + 1_000);
  return first && last ? (last.done - first.done) / ((last.at - first.at) / 1000) : undefined;
}

/**
 * Strikes Redis under a steady load, submitting all the while.
 *
 * @param strike settles when Redis is back
 * @returns seconds from then until a second at 95 % of the pace begins, and submissions that failed
 */
async function timeRecovery(stand: Stand, redis: LocalRedis, strike: () => Promise<void>) {
  await using base = await stand.openBase();
  const task = await submit(base, axesOf(12_000));
  return await withWorker(
    base,
    { url: redis.url },
    { slots: steady.slots, http: playQuarter() },
    async () => {
      const samples: Sample[] = [];
      let failed = 0;
      let submitted = 0;
      let over = false;
      const submitting = (async () => {
        for (; !over; submitted++) {
          await submit(base, [1]).catch(() => failed++);
          await sleep(300);
        }
      })();
      const watching = (async () => {
        while (!over) {
          const { done } = await readProgress(base.sql, task);
          samples.push({ at: performance.now(), done });
          await sleep(40);
        }
      })();
      await sleep(4_500);
      const calm = samples.filter(({ at }) => at > samples.at(-1)!.at - 3_000);
      const pace = (calm.at(-1)!.done - calm[0]!.done) / ((calm.at(-1)!.at - calm[0]!.at) / 1000);
      await strike();
      const back = performance.now();
      const reached = await until(
        "the old pace",
        () => samples.find(({ at }) => at >= back && (rateFrom(samples, at) ?? 0) >= 0.95 * pace),
        { ms: 30_000 },
      );
      over = true;
      await Promise.all([submitting, watching]);
      return { seconds: (reached.at - back) / 1000, pace, failed, submitted };
    },
  );
}

/** Reports how soon the old pace is back after Redis was wiped, and after it was away for two seconds. */
export async function measureRedisFaults(stand: Stand, report: Report): Promise<void> {
  await stand.flushRedis();
  const wiped = await timeRecovery(stand, stand.redis, () => stand.flushRedis());
  let redis = await startRedis();
  const port = Number(new URL(redis.url).port);
  const strike = async () => {
    await redis.stop();
    await sleep(2_000);
    redis = await startRedis({ port });
  };
  const gone = await timeRecovery(stand, redis, strike).finally(() => redis.stop());
  const paceMax = steady.slots * 1000 / steady.jobMs;
  for (const [what, { seconds, pace }] of [["FLUSHALL", wiped], ["Redis away for 2 s", gone]] as const) {
    report({
      what: `${what}: until a second at 95 % of the pace begins`,
      value: seconds,
      unit: "s",
      goal: atMost(seconds, 5, "s"),
      note: `the old pace: ${pace.toFixed(0)} of ${paceMax} cells/s`,
    });
  }
  const failed = wiped.failed + gone.failed;
  report({
    what: "submissions that failed meanwhile",
    value: failed,
    unit: "",
    goal: atMost(failed, 0, ""),
    note: `of ${wiped.submitted + gone.submitted}`,
  });
}
