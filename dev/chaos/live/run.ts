/** One run of the live rig: writes and faults side by side, then rest, then the comparison of both sides in full. */
import { findFollow } from "../../../migrate/data/sync/state.ts";
import { toPosition } from "../../../migrate/data/sources/positions.ts";
import { assertFollowed, insertAll, makeEdgeCases } from "../../../tests/migrate/support/followed.ts";
import { createRandom } from "../random.ts";
import type { SeededResult } from "../seeded.ts";
import { pause, retry } from "../servers.ts";
import { injections } from "./faults.ts";
import type { LivePlan } from "./plan.ts";
import { OldBackendClients } from "./clients.ts";
import { checkRest, rate } from "./rest.ts";
import { checkWayBack } from "./way_back.ts";
import { type LanePostgres, openWorld, type World } from "./world.ts";
import { LiveWriter } from "./writer.ts";

const settleMs = 90_000;

/** Waits until the sync has applied everything. @throws Error when it does not within the time */
export async function waitForRest({ sql, db }: Pick<World, "sql" | "db">): Promise<void> {
  const { operationTime } = await retry(() => db.command({ ping: 1 }));
  const target = toPosition(operationTime);
  const until = performance.now() + settleMs;
  while (performance.now() < until) {
    const follow = await retry(() => findFollow(sql));
    if (follow?.state === "following" && BigInt(follow.position ?? 0) >= target) return;
    await pause(50);
  }
  throw new Error(`the sync did not catch up within ${settleMs / 1000} s`);
}

/** Waits until the copy is complete. */
async function waitForCopy({ sql }: World): Promise<void> {
  await retry(async () => {
    if ((await findFollow(sql))?.state !== "following") throw new Error("the copy is not complete");
  }, settleMs);
}

async function injectFaults(world: World): Promise<void> {
  const random = createRandom(world.plan.seed).fork("injections");
  const started = performance.now();
  for (const { kind, atMs } of world.plan.faults) {
    await pause(Math.max(0, atMs - (performance.now() - started)));
    await injections[kind](world, random);
  }
}

/** Runs a plan. @throws Error when the rig itself fails */
export async function runLivePlan(
  root: URL,
  plan: LivePlan,
  postgres: LanePostgres,
): Promise<SeededResult<LivePlan>> {
  const started = performance.now();
  await using world = await openWorld(root, plan, postgres);
  const { db, sync, mongo } = world;
  if (plan.hasEdgeCases) await insertAll(await mongo.primaryUrl(), db.databaseName, await makeEdgeCases());
  const writer = new LiveWriter(db, createRandom(plan.seed).fork("writes"));
  const stopped = new AbortController();
  await using clients = plan.hasOldBackend
    ? await OldBackendClients.start(mongo.url, db, createRandom(plan.seed).fork("clients"))
    : undefined;
  const writing = Promise.all([writer.run(stopped.signal), clients?.run(stopped.signal)]);
  sync.start();
  const violations: string[] = [];
  try {
    if (plan.isCopiedFirst) await waitForCopy(world);
    const [rated] = await Promise.all([pause(plan.durationMs).then(() => rate(world)), injectFaults(world)]);
    stopped.abort();
    await writing;
    await clients?.drain();
    await waitForRest(world);
    violations.push(...await writer.check(), ...await clients?.check() ?? []);
    await assertFollowed(world.sql, db);
    violations.push(...await checkRest(world, rated));
    await clients?.old.executor.stop();
    if (plan.hasWayBack) await checkWayBack(world);
  } catch (error) {
    violations.push(String((error as Error).message).slice(0, 2000));
  } finally {
    stopped.abort();
    await writing.catch(() => {});
  }
  const lines = violations.length > 0 ? [...sync.lines] : [];
  return {
    plan,
    violations,
    writes: writer.acknowledged + (clients?.acknowledged ?? 0),
    tookMs: performance.now() - started,
    lines,
  };
}
