/** One run of the switch rig: the phases one after another under load and faults, then rest, then the rules. */
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { createTokens } from "../../../routes/common/tokens.ts";
import { createRandom, type Random } from "../random.ts";
import type { SeededResult } from "../seeded.ts";
import { createSequence, pause, retry } from "../servers.ts";
import { installAudit } from "./audit.ts";
import { checkAtRest } from "./check.ts";
import { LoadClient } from "../../load/client.ts";
import { readAccount } from "../../load/load.ts";
import { fill, readStill } from "./fill.ts";
import { injections } from "./faults.ts";
import { changePhase, keepFollowing, makeSwitch, prepare, recover, waitUntil } from "./operator.ts";
import type { Stage, SwitchFault, SwitchPlan } from "./plan.ts";
import { reachedMark, secret, startSystems } from "./systems.ts";
import { openSwitchWorld, type SwitchLane, type SwitchWorld, writeFailpoint } from "./world.ts";

export interface SwitchResult extends SeededResult<SwitchPlan> {
  /** Switches that were made. */
  switched: number;
  /** Whether a process came to the failpoint of the plan. */
  isPlaceReached: boolean;
}

const probeMs = 30_000;
const tasksBefore = 8;

/** Injects the faults of a stage when it begins. */
class FaultClock {
  readonly #begun = new Set<Stage>();
  readonly #running: Promise<void>[] = [];
  readonly #random: Random;
  /** A server is not stopped while it starts again, so that faults of the same server come one after another. */
  readonly #sequences = { postgres: createSequence(), mongo: createSequence(), redis: createSequence() };
  readonly failures: string[] = [];

  constructor(readonly world: SwitchWorld) {
    this.#random = createRandom(world.plan.seed).fork("injections");
  }

  begin(stage: Stage): void {
    if (this.#begun.has(stage)) return;
    this.#begun.add(stage);
    const { plan, apis, sync, back } = this.world;
    for (const [i, fault] of plan.faults.entries()) {
      if (fault.stage !== stage) continue;
      const random = this.#random.fork(String(i));
      this.#running.push(
        pause(fault.afterMs).then(() => this.#inject(fault.kind, random))
          .catch((error) => void this.failures.push(`${fault.kind} could not be injected: ${error}`)),
      );
    }
    const { place } = plan;
    if (place?.stage !== stage) return;
    if (place.process === "api") apis[0]!.signal("SIGUSR2");
    if (place.process === "sync") sync.signal("SIGUSR2");
    if (place.process === "back") back.signal("SIGUSR2");
  }

  async #inject(kind: SwitchFault, random: Random): Promise<void> {
    const [, server] = /^(?:kill|pause|crash|shut_down)_(postgres|mongo|redis)$/.exec(kind) ?? [];
    const inject = () => injections[kind](this.world, random);
    await (server ? this.#sequences[server as "postgres" | "mongo" | "redis"](inject) : inject());
  }

  /** Waits until all faults are undone. */
  async end(): Promise<void> {
    await Promise.all(this.#running);
  }
}

/** Tells when a cut-over or rollback holds the writes. */
async function watchHolds({ sql }: SwitchWorld, clock: FaultClock, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const [row] = await sql`select phase_before from migration.traffic where phase = 'holding'`.catch(
      () => [],
    );
    if (row) clock.begin(row.phase_before === "new" ? "rollback_holds" : "cutover_holds");
    await pause(30);
  }
}

/** Goes through the phases. */
async function walk(
  world: SwitchWorld,
  clock: FaultClock,
  result: Pick<SwitchResult, "violations" | "lines" | "switched" | "isPlaceReached">,
): Promise<void> {
  const { plan, sql } = world;
  clock.begin("old");
  await pause(plan.phaseMs);
  for (const phase of ["shadow", "canary"] as const) {
    await changePhase(world, phase);
    clock.begin(phase);
    await pause(plan.phaseMs);
  }
  for (let number = 0; number < plan.switches; number++) {
    const kind = number % 2 === 0 ? "cutover" : "rollback";
    const outcome = await makeSwitch(world, kind, () => clock.begin(kind));
    result.violations.push(...outcome.violations);
    result.lines.push(...outcome.lines);
    result.isPlaceReached ||= outcome.isPlaceReached;
    if (!outcome.isDone) break;
    result.switched++;
    if ((await retry(() => readTraffic(sql))).phase === "new") {
      await waitUntil(() => Promise.resolve(!world.back.isStopped), 5000);
      clock.begin("new");
    }
    await pause(plan.phaseMs);
  }
}

/** Lets everything that stands still go on, and waits until both systems serve again. */
async function calm(world: SwitchWorld, clients: readonly LoadClient[]): Promise<string[]> {
  const { apis, sync, back, old, links } = world;
  for (const process of [...apis, sync, back, old]) process.signal("SIGCONT");
  for (const link of Object.values(links)) link.set("pass");
  const faults = await recover(world);
  const probes = await Promise.all(
    clients.map((client) => waitUntil(() => client.make("task"), probeMs)),
  );
  if (probes.includes(false)) {
    const { text, status } = readAccount(clients).failures.at(-1)!;
    faults.push(`writes do not work ${probeMs / 1000} s after the last fault: ${status} ${text}`);
  }
  return faults;
}

function listLastLines({ sync, back, apis: [api0, api1] }: SwitchWorld): string[] {
  return Object.entries({ sync, back, api0: api0!, api1: api1! }).flatMap(([name, { lines }]) =>
    lines.slice(-6).map((line) => `${name}: ${line.slice(0, 300)}`)
  );
}

/** Runs of a world. Then its documents make the comparisons slow. */
const runsMax = 6;

/** Takes the world of the run before, or opens a new one. */
async function takeWorld(root: URL, plan: SwitchPlan, lane: SwitchLane): Promise<SwitchWorld> {
  const { world: last } = lane;
  lane.world = undefined;
  if (last && last.runs < runsMax && last.root.href === root.href) return Object.assign(last, { plan });
  await last?.[Symbol.asyncDispose]();
  const world = await openSwitchWorld(root, plan, lane);
  await installAudit(world.sql);
  await fill(world, tasksBefore);
  await startSystems(world);
  return world;
}

/** More than a run has, so that the clients of a world have different numbers. */
const clientsMax = 10;

/** Few users, since their passwords take long to hash. */
const mix = { task: 0.3, user: 0.03, change: 0.37 };
const pauseMs = [20, 80] as const;

async function createClients({ plan, db, origins }: SwitchWorld): Promise<LoadClient[]> {
  const tokens = createTokens(secret, 60);
  const random = createRandom(plan.seed).fork("clients");
  return await Promise.all(Array.from({ length: plan.clients }, (_, i) => {
    const number = plan.seed * clientsMax + i;
    return LoadClient.create({ number, db, tokens, origins, random: random.fork(String(i)), pauseMs, mix });
  }));
}

/** Keeps a world that is at rest with the old backend in charge for the next run, and ends any other. */
async function leaveWorld(lane: SwitchLane, world: SwitchWorld, isSound: boolean): Promise<void> {
  world.runs++;
  const phase = isSound ? (await readTraffic(world.sql)).phase : undefined;
  if (phase === undefined || phase === "new" || phase === "holding") await world[Symbol.asyncDispose]();
  else lane.world = world;
}

/** Runs a plan. @throws Error when the rig itself fails */
export async function runSwitchPlan(root: URL, plan: SwitchPlan, lane: SwitchLane): Promise<SwitchResult> {
  const started = performance.now();
  const world = await takeWorld(root, plan, lane);
  await writeFailpoint(world);
  for (const process of [world.sync, world.back, ...world.apis]) process.lines.length = 0;
  const clients = await createClients(world);
  const still = await readStill(world);
  if (world.sync.isStopped) world.sync.start();
  await prepare(world);
  const result: SwitchResult = {
    plan,
    violations: [],
    writes: 0,
    tookMs: 0,
    lines: [],
    switched: 0,
    isPlaceReached: false,
  };
  const { violations } = result;
  const stopped = new AbortController();
  const ended = new AbortController();
  const clock = new FaultClock(world);
  const working = Promise.all(clients.map((client) => client.run(stopped.signal)));
  const watching = Promise.all([keepFollowing(world, ended.signal), watchHolds(world, clock, ended.signal)]);
  try {
    await walk(world, clock, result);
    await clock.end();
    stopped.abort();
    await working;
    violations.push(...clock.failures, ...await calm(world, clients));
    violations.push(...await checkAtRest(world, clients, still, result.lines.length > 0));
  } catch (error) {
    violations.push(String((error as Error).message).slice(0, 2000));
  } finally {
    stopped.abort();
    ended.abort();
    await clock.end();
    await Promise.allSettled([working, watching]);
  }
  const processes = [world.sync, world.back, ...world.apis];
  result.isPlaceReached ||= processes.some(({ lines }) => lines.some((line) => line.startsWith(reachedMark)));
  result.lines.push(...listLastLines(world));
  if (violations.length === 0) result.lines = [];
  await leaveWorld(lane, world, violations.length === 0);
  result.writes = readAccount(clients).acknowledged;
  result.tookMs = performance.now() - started;
  return result;
}
