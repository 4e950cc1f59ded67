/** Faults of worker processes: their ends, pauses and clocks. */
import { type Fault, type FaultParameters, type Rig, workerOf } from "../rig.ts";
import { pause } from "../servers.ts";

async function freeze(rig: Rig, parameters: FaultParameters): Promise<void> {
  const worker = workerOf(rig, parameters);
  if (!worker.signal("SIGSTOP")) return;
  await pause(parameters.ms);
  worker.signal("SIGCONT");
}

async function terminate(rig: Rig, parameters: FaultParameters): Promise<void> {
  const worker = workerOf(rig, parameters);
  const pid = worker.pid;
  worker.signal("SIGTERM");
  await pause(2_000);
  if (worker.pid === pid) worker.signal("SIGKILL");
}

async function killSeveral(rig: Rig, parameters: FaultParameters): Promise<void> {
  for (let i = 0; i < 3; i++) {
    workerOf(rig, parameters).signal("SIGKILL");
    await pause(300 + parameters.variation * 1_500);
  }
}

/** Kills every worker at the same moment. */
async function killAll({ workers }: Rig): Promise<void> {
  await Promise.resolve();
  for (const worker of workers) worker.signal("SIGKILL");
}

/** Moves a worker's clock by five minutes for a while. Without libfaketime nothing happens. */
async function stepClock(rig: Rig, parameters: FaultParameters): Promise<void> {
  const { clock } = workerOf(rig, parameters);
  await clock?.step(parameters.variation < 0.5 ? 300 : -300);
  await pause(parameters.ms);
  await clock?.step(0);
}

const kill = (rig: Rig, parameters: FaultParameters) =>
  Promise.resolve(workerOf(rig, parameters).signal("SIGKILL"));

/** The faults of workers. */
export const workerFaults = {
  kill: { about: "kill -9 of a worker", ms: [0, 0], weight: 8, inject: kill },
  kill_again: {
    about: "kill -9 of a worker and of its two successors",
    ms: [0, 0],
    weight: 2,
    inject: killSeveral,
  },
  kill_all: { about: "kill -9 of all workers at once", ms: [0, 0], weight: 1, inject: killAll },
  freeze: {
    about: "SIGSTOP, then SIGCONT after the worker counts as dead",
    ms: [8_000, 12_000],
    weight: 3,
    inject: freeze,
  },
  stall: {
    about: "SIGSTOP until before or soon after others take its jobs over",
    ms: [500, 5_000],
    weight: 2,
    inject: freeze,
  },
  terminate: { about: "SIGTERM, then SIGKILL after 2 s", ms: [0, 0], weight: 4, inject: terminate },
  clock_step: {
    about: "a worker's clock is five minutes off",
    ms: [1_500, 6_000],
    weight: 2,
    inject: stepClock,
  },
} satisfies Record<string, Fault>;
