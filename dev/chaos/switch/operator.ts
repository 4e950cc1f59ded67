/** What the operator of a run does: starts sync and back, cuts over, rolls back, and mends what a kill has left. */
import { listFrontProcesses } from "../../../db/traffic/processes.ts";
import { changeTraffic, type Phase, readTraffic } from "../../../db/traffic/traffic.ts";
import { parseConfig } from "../../../config.ts";
import { callHttp } from "../../../http.ts";
import { findRunningCutover } from "../../../migrate/data/cutover/journal.ts";
import { openFollowed } from "../../../migrate/data/sources/mongo_follow.ts";
import { makeReady } from "../../../tests/migrate/cutover/rig.ts";
import { pause, retry } from "../servers.ts";
import { reachedMark, startOperator, type Systems } from "./systems.ts";

const maxPause = "4s";
const attemptsMax = 4;
const recoverMsMax = 90_000;

const phaseOf = ({ sql }: Systems): Promise<Phase> => retry(async () => (await readTraffic(sql)).phase);

/** Waits for a condition, at most `ms`. @returns whether it came true */
export async function waitUntil(check: () => Promise<boolean>, ms: number): Promise<boolean> {
  const until = performance.now() + ms;
  while (performance.now() < until) {
    if (await check().catch(() => false)) return true;
    await pause(30);
  }
  return false;
}

const hasLease = async ({ sql }: Systems, role: "sync" | "back") =>
  (await sql`select from leaders where role = ${role} and lease_until > now()`).length === 1;

/** Starts and stops sync and back as the phase wants it, until the signal is aborted. */
export async function keepFollowing(world: Systems, signal: AbortSignal): Promise<void> {
  const { sync, back } = world;
  let last: Phase | undefined;
  while (!signal.aborted) {
    const phase = await phaseOf(world).catch(() => undefined);
    const [wanted, other] = phase === "new" ? [back, sync] : [sync, back];
    if (phase !== undefined && phase !== "holding") {
      // A process whose work is over has the time to end by itself.
      if (phase === last) await other.stop();
      if (wanted.isStopped) wanted.start();
    }
    last = phase;
    await pause(phase === last ? 500 : 150);
  }
}

/** Makes the gate of a cut-over ready, as after a minute of following and a verification. */
export async function prepare(world: Systems): Promise<void> {
  const { sql, lane, db, env } = world;
  await makeReady({
    sql,
    async context() {
      const source = await openFollowed(lane.mongo.url, db.databaseName);
      return {
        pool: sql,
        source,
        config: parseConfig(env, "migrate"),
        http: callHttp,
        by: "rig",
        onNote() {},
        signal: new AbortController().signal,
        [Symbol.asyncDispose]: () => source[Symbol.asyncDispose](),
      };
    },
  });
}

/** Changes the phase by hand, in the safe order. */
export async function changePhase({ sql, plan }: Systems, phase: "shadow" | "canary"): Promise<void> {
  await retry(async () => {
    const traffic = await readTraffic(sql);
    if (traffic.phase === phase) return;
    const share = phase === "canary" ? plan.share : 0;
    const change = { phase, share, by: "rig", reason: "rig", forced: false, holdMs: null };
    if (!await changeTraffic(sql, traffic.version, change)) throw new Error("another change came first");
  });
}

/** Mends what a killed cut-over or rollback has left. @returns what is wrong after that */
export async function recover(world: Systems): Promise<string[]> {
  const { sql, plan } = world;
  const until = performance.now() + recoverMsMax;
  let flag = plan.recovery === "continue" ? "--continue" : "--abort";
  if (plan.recovery === "wait") await waitUntil(async () => await phaseOf(world) !== "holding", 12_000);
  let text = "";
  while (await retry(() => findRunningCutover(sql))) {
    if (performance.now() > until) return [`cutover ${flag} did not end the cut-over: ${text}`];
    ({ err: text } = await startOperator(world, ["cutover", "--from", "mongodb", "--yes", "--json", flag])
      .ended);
    if (/cutover --continue' to end it/.test(text)) flag = "--continue";
    // A cut-over that goes on may be refused again, when something is still down.
    else flag = "--abort";
    await pause(100);
  }
  // Nothing is left that holds writes: a rehearsed or aborted hold ends within its life.
  const isFree = await waitUntil(async () => await phaseOf(world) !== "holding", 15_000);
  return isFree ? [] : ["the phase stays 'holding' although no cut-over is open"];
}

const args = {
  cutover: [
    "cutover",
    "--from",
    "mongodb",
    "--yes",
    "--json",
    "--unfinished",
    "keep",
    "--max-pause",
    maxPause,
  ],
  rollback: ["rollback", "--from", "mongodb", "--yes", "--json", "--max-pause", maxPause],
};

/** Waits until the gate may be passed. What it still lacks then, the command says. */
export async function waitReady(world: Systems, kind: "cutover" | "rollback"): Promise<void> {
  const { sql } = world;
  await waitUntil(() => hasLease(world, kind === "cutover" ? "sync" : "back"), 15_000);
  await waitUntil(async () => (await listFrontProcesses(sql)).length > 0, 10_000);
  if (kind === "rollback") return;
  await waitUntil(async () => {
    const rows = await sql`
      update migration.follows set behind_at = now() - interval '2 minutes'
      where state = 'following' and lag_ms < 1000 returning 1`;
    return rows.length === 1;
  }, 15_000);
}

/** What became of a cut-over or rollback. */
export interface Outcome {
  isDone: boolean;
  violations: string[];
  /** Whether a command came to the failpoint of the plan. */
  isPlaceReached: boolean;
  /** Last output of each attempt that failed. */
  lines: string[];
}

/** Cuts over or rolls back, again if that was refused or killed. @param onStart called when the first one begins */
export async function makeSwitch(
  world: Systems,
  kind: "cutover" | "rollback",
  onStart: () => void,
): Promise<Outcome> {
  const wanted = (phase: Phase) => kind === "cutover" ? phase === "new" : phase !== "new";
  const lines: string[] = [];
  const violations: string[] = [];
  let isPlaceReached = false;
  for (let attempt = 1; attempt <= attemptsMax; attempt++) {
    await waitReady(world, kind);
    if (attempt === 1) onStart();
    const running = startOperator(world, args[kind], attempt === 1 ? kind : undefined);
    const { code, signal, err } = await running.ended;
    if (code !== 0) lines.push(`${kind}: ${signal ?? code}: ${err.slice(-300)}`);
    isPlaceReached ||= err.includes(reachedMark);
    violations.push(...await recover(world));
    const phase = await phaseOf(world);
    if (wanted(phase) && phase !== "holding") return { isDone: true, violations, isPlaceReached, lines };
    if (code === 0) violations.push(`${kind} ended with 0, but the phase is '${phase}'`);
  }
  return { isDone: false, violations, isPlaceReached, lines };
}
