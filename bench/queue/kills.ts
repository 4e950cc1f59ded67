/** Recovery after kill -9 of workers, and of the leader. */
import { startImageApi } from "../../dev/servers/image_api.ts";
import { atMost, quantile, rangeOf, type Report } from "../report.ts";
import { type BenchDatabase, type Harness, sleep, submit, waitUntil } from "./harness.ts";

const main = new URL("../../jobs/main.ts", import.meta.url).pathname;
const slotsEach = 6;

type Child = { process: Deno.ChildProcess; worker: string };

/**
 * Starts a worker process and reads its name.
 *
 * @param args further arguments
 */
async function spawnWorker(env: Record<string, string>, args: string[] = []): Promise<Child> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", main, "--queues", "standard", ...args],
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "inherit",
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
 * @returns the time until each cell was claimed in ms
 */
async function measureKill(
  database: BenchDatabase,
  { process, worker }: Child,
): Promise<number[]> {
  const leased = (await listRunning(database)).filter(({ worker_id }) => worker_id === worker);
  process.kill("SIGKILL");
  const killedAt = performance.now();
  await process.status;
  const times = new Map<string, number>();
  await waitUntil("other workers to claim the cells", async () => {
    const now = new Map((await listRunning(database)).map((row) => [row.id, row]));
    for (const { id } of leased) {
      const row = now.get(id);
      if (times.has(id) || !row || row.worker_id === worker) continue;
      times.set(id, performance.now() - killedAt);
    }
    return times.size === leased.length;
  }, { ms: 40_000, everyMs: 25 });
  return [...times.values()];
}

/** What both measurements need: a database, an image API whose jobs do not end, and workers. */
interface Fleet extends AsyncDisposable {
  database: BenchDatabase;
  children: Child[];
  countPosts: () => number;
}

/**
 * Starts workers and draws cells until the ids of all their jobs are saved.
 *
 * @param args further arguments of each worker
 */
async function startFleet(
  harness: Harness,
  { workers, slots, cells, args }: { workers: number; slots: number; cells: number; args?: string[] },
): Promise<Fleet> {
  await harness.flushRedis();
  const stack = new AsyncDisposableStack();
  const database = stack.use(await harness.createDatabase());
  const api = stack.use(await startImageApi({ delayMs: 120_000 }));
  const env = {
    DATABASE_URL: database.url,
    REDIS_URL: harness.redis.url,
    IMAGE_API_URL: api.url,
    NIETA_XTOKEN: "t",
    IMAGE_POLLING_INTERVAL: "0.5",
    IMAGE_MAX_POLLING_ATTEMPTS: "10000",
    LOG_LEVEL: "ERROR",
    TASK_EXECUTOR_MIN_CONCURRENT: String(slots),
    TASK_EXECUTOR_MAX_CONCURRENT: String(slots),
  };
  const children = await Promise.all(Array.from({ length: workers }, () => spawnWorker(env, args)));
  stack.defer(async () => {
    for (const { process } of children) {
      try {
        process.kill("SIGKILL");
      } catch {
        // It was killed before.
      }
    }
    await Promise.all(children.map(({ process }) => process.status));
  });
  await submit(database, [cells]);
  await waitUntil("the remote ids of all jobs", async () => {
    const running = await listRunning(database);
    return running.filter(({ remote_id }) => remote_id !== null).length === cells;
  });
  return {
    database,
    children,
    countPosts: () => api.posts.length,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

/** Reports the times until cells were claimed again. */
function reportTimes(report: Report, what: string, all: number[]): void {
  const times = all.map((ms) => ms / 1000);
  const p99 = quantile(times, 0.99);
  report({
    what: `kill -9 of ${what}: time until a cell is claimed again, p99`,
    value: p99,
    unit: "s",
    spread: rangeOf(times),
    goal: atMost(p99, 4, "s"),
  });
}

/** Kills workers soon after each other, while others have free slots. @returns the number of POSTs beyond one a cell */
async function killSeveral(harness: Harness, report: Report, kills: number): Promise<number> {
  const cells = slotsEach * kills;
  const size = { workers: 2 * kills, slots: 2 * cells, cells, args: ["--slots", String(slotsEach)] };
  // As many cells as the slots of the workers to kill.
  await using fleet = await startFleet(harness, size);
  const busy = new Set((await listRunning(fleet.database)).map(({ worker_id }) => worker_id));
  const victims = fleet.children.filter(({ worker }) => busy.has(worker)).slice(0, kills);
  const ends = [];
  for (const victim of victims) {
    ends.push(measureKill(fleet.database, victim));
    await sleep(1_700);
  }
  reportTimes(report, `${victims.length} workers`, (await Promise.all(ends)).flat());
  return fleet.countPosts() - cells;
}

/**
 * Kills the leader and then its successors, while cells fill all slots: the others need its slots, too.
 *
 * @returns the number of POSTs beyond one a cell
 */
async function killLeaders(harness: Harness, report: Report, kills: number): Promise<number> {
  const cells = slotsEach * (kills + 1);
  await using fleet = await startFleet(harness, { workers: kills + 1, slots: cells, cells });
  const all: number[] = [];
  for (let count = 0; count < kills; count++) {
    const leader = await waitUntil("a living leader with cells", async () => {
      const [row] = await fleet.database.sql<{ holder: string }[]>`
        select holder from leaders where lease_until > now() and exists (
          select from subtasks where worker_id = holder and remote_id is not null
        )`;
      return fleet.children.find(({ worker }) => worker === row?.holder);
    });
    all.push(...await measureKill(fleet.database, leader));
    // Until the heartbeats of those that live are apart again.
    await sleep(1_300);
  }
  reportTimes(report, "the leader with all slots in use", all);
  return fleet.countPosts() - cells;
}

/** Reports how soon other workers claim the cells of killed workers, and how many jobs were paid for twice. */
export async function measureKills(
  harness: Harness,
  report: Report,
  { kills }: { kills: number },
): Promise<void> {
  const again = await killSeveral(harness, report, kills) + await killLeaders(harness, report, kills);
  report({
    what: "POSTs for cells whose remote id was saved",
    value: again,
    unit: "",
    goal: atMost(again, 0, ""),
  });
}
