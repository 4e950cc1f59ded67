/** Parts that are killed under load: when `/ready` tells it, when work goes on, and what clients see meanwhile. */
import { childrenOf, isAlive } from "../../dev/servers/pids.ts";
import { startRedis } from "../../dev/servers/redis.ts";
import { sleep, waitUntil } from "../queue/harness.ts";
import { atMost, type Report } from "../report.ts";
import { describeFailures, type Sample, startLoad } from "./load.ts";
import { type Api, isReady, type Rig, startApi } from "./rig.ts";

const perSecond = 100;

/** @returns seconds until `check` is true */
export async function timeUntil(what: string, check: () => Promise<boolean>): Promise<number> {
  const from = performance.now();
  await waitUntil(what, check, { ms: 60_000, everyMs: 20 });
  return (performance.now() - from) / 1000;
}

/** Reports the answers that are an error of the server other than 503 with Retry-After. */
export function reportAnswers(
  report: Report,
  what: string,
  samples: Sample[],
  permitsBrokenConnections: boolean,
): void {
  const bad = samples.filter(({ status, hasRetryAfter }) =>
    status >= 500 && !(status === 503 && hasRetryAfter) || status === 0 && !permitsBrokenConnections
  );
  const all = samples.filter(({ status }) => status !== 200);
  report({
    what: `${what}: bad answers`,
    value: bad.length,
    unit: "",
    goal: atMost(bad.length, 0, ""),
    ...(all.length === 0 ? {} : { note: `of ${samples.length} requests: ${describeFailures(all)}` }),
  });
}

/** Sends requests for the list until it is stopped. */
export function startRequests(rig: Rig, api: Api) {
  const headers = { authorization: `Bearer ${rig.token}` };
  return startLoad(() => fetch(`${api.origin}/api/v1/tasks`, { headers }), perSecond);
}

async function killPostgres(report: Report, rig: Rig): Promise<void> {
  const api = await startApi(rig.env);
  using load = startRequests(rig, api);
  await sleep(2_000);
  const pid = Number((await Deno.readTextFile(`${rig.folder}/postmaster.pid`)).split("\n")[0]);
  const backends = childrenOf(pid);
  Deno.kill(pid, "SIGKILL");
  const flips = await timeUntil("readiness to end", async () => !await isReady(api));
  // The processes of the killed server end by themselves; the next one must not find them.
  await waitUntil("the end of the server", () => ![pid, ...backends].some(isAlive), { ms: 60_000 });
  await rig.restart();
  const recovers = await timeUntil("readiness", () => isReady(api));
  await sleep(1_000);
  const samples = await load.stop();
  await api.process.end("SIGTERM");
  const what = "PostgreSQL killed";
  report({ what: `${what}: not ready after`, value: flips, unit: "s", goal: atMost(flips, 2, "s") });
  const goal = atMost(recovers, 5, "s");
  report({ what: `${what}: ready after it accepts again`, value: recovers, unit: "s", goal });
  reportAnswers(report, what, samples, false);
}

async function killProcess(report: Report, rig: Rig): Promise<void> {
  const api = await startApi({ ...rig.env, API_PROCESSES: "2" });
  using load = startRequests(rig, api);
  await sleep(2_000);
  Deno.kill(childrenOf(api.process.pid)[0]!, "SIGKILL");
  const killedAt = performance.now();
  const flips = await timeUntil("readiness to end", async () => !await isReady(api));
  await timeUntil("readiness", () => isReady(api));
  const recovers = (performance.now() - killedAt) / 1000;
  await sleep(1_000);
  const samples = await load.stop();
  await api.process.end("SIGTERM");
  const what = "one of two API processes killed";
  report({ what: `${what}: not ready after`, value: flips, unit: "s", goal: atMost(flips, 2, "s") });
  report({ what: `${what}: ready after`, value: recovers, unit: "s", goal: atMost(recovers, 5, "s") });
  // Without a proxy in front, clients notice the connections of the process that has died.
  reportAnswers(report, what, samples, true);
}

async function killRedis(report: Report, rig: Rig): Promise<void> {
  const redis = await startRedis();
  const port = Number(new URL(redis.url).port);
  const api = await startApi({ ...rig.env, REDIS_URL: redis.url });
  const readRedis = async () => {
    const response = await fetch(`http://127.0.0.1:${api.admin}/ready`);
    return ((await response.json()) as { redis?: string }).redis ?? "";
  };
  using load = startRequests(rig, api);
  await sleep(1_000);
  Deno.kill(redis.pid, "SIGKILL");
  const flips = await timeUntil("the degraded state", async () => (await readRedis()).startsWith("degraded"));
  await using _again = await startRedis({ port });
  const recovers = await timeUntil("Redis", async () => await readRedis() === "ok");
  const samples = await load.stop();
  await api.process.end("SIGTERM");
  const what = "Redis killed";
  report({ what: `${what}: degraded after`, value: flips, unit: "s", goal: atMost(flips, 2, "s") });
  const goal = atMost(recovers, 5, "s");
  report({ what: `${what}: ok after it accepts again`, value: recovers, unit: "s", goal });
  reportAnswers(report, what, samples, false);
}

/** Kills PostgreSQL, an API process and Redis in turn. */
export async function measureKills(report: Report, rig: Rig): Promise<void> {
  await killProcess(report, rig);
  await killRedis(report, rig);
  await killPostgres(report, rig);
}
