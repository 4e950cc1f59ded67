/** Generates the plan of a run, its tasks and faults, from a seed. */
import { createRandom, type Random } from "./random.ts";
import { type FaultKind, faultKinds, faults } from "./faults.ts";

/** A fault to inject. */
export interface PlannedFault {
  /** Time after the start of the run. */
  atMs: number;
  kind: FaultKind;
  /** Index of the affected worker; ignored by faults of servers. */
  workerIndex: number;
  /** Duration. */
  ms: number;
  /** Random number from 0 (inclusive) to 1 (exclusive) that selects a variation of the fault. */
  variation: number;
}

/** A task to submit. */
export interface PlannedTask {
  atMs: number;
  name: string;
  /** One prompt per cell, unique in the run. */
  prompts: string[];
  priority: number;
  /** What the owner does with the task later. */
  followUp?: { kind: "cancel" | "delete" | "replay"; afterMs: number };
}

/** The plan of a run. */
export interface Plan {
  seed: number;
  workers: number;
  /** Number of slots of the standard queue, over all workers. */
  slots: number;
  plannedTasks: PlannedTask[];
  plannedFaults: PlannedFault[];
}

/** Scripts of the fake image API that some prompts carry; `fails` marks those that make the cell fail. */
const scripts = [
  { text: "@@create:451", fails: true },
  { text: "@@poll:ILLEGAL_IMAGE", fails: true },
  { text: "@@poll:TIMEOUT*1", fails: false },
  { text: "@@create:500*1", fails: false },
  { text: "@@poll:EMPTY*1", fails: false },
];

/** Reports whether the script in a prompt makes its cell fail. */
export const isScriptedToFail = (prompt: string): boolean =>
  scripts.some(({ text, fails }) => fails && prompt.includes(text));

function generatePrompts(random: Random, task: number, cells: number): string[] {
  return Array.from({ length: cells }, (_, cell) => {
    const script = random.oneIn(14) ? ` ${random.pick(scripts).text}` : "";
    return `task ${task} cell ${cell}${script}`;
  });
}

function generateTasks(random: Random, windowMs: number): PlannedTask[] {
  const sizes = [
    random.between(30, 60),
    1,
    random.between(2, 12),
    random.between(10, 30),
    random.between(2, 20),
  ];
  const chosen = sizes.slice(0, random.between(3, sizes.length));
  return chosen.map((cells, i) => {
    const planned: PlannedTask = {
      atMs: i === 0 ? 0 : random.between(0, windowMs),
      name: `chaos ${i}`,
      prompts: generatePrompts(random, i, cells),
      priority: random.oneIn(5) ? 2 : 1,
    };
    const kind = random.pick(["cancel", "delete", "replay", "replay", undefined, undefined] as const);
    return kind === undefined
      ? planned
      : { ...planned, followUp: { kind, afterMs: random.between(100, 2_500) } };
  });
}

function generateFaults(
  random: Random,
  workers: number,
  windowMs: number,
  kinds: readonly FaultKind[],
): PlannedFault[] {
  const weights = kinds.flatMap((kind) => Array<FaultKind>(faults[kind].weight).fill(kind));
  return Array.from({ length: random.between(1, 4) }, () => {
    const kind = random.pick(weights.length > 0 ? weights : faultKinds);
    const [msMin, msMax] = faults[kind].ms;
    return {
      kind,
      atMs: random.between(300, windowMs),
      workerIndex: random.between(0, workers - 1),
      ms: random.between(msMin, msMax),
      variation: random.next(),
    };
  }).sort((a, b) => a.atMs - b.atMs);
}

/** Time after the start of a run in which faults begin. */
const windowMs = 5_000;

/**
 * Generates the plan of a run. The same arguments give the same plan.
 *
 * @param kinds kinds of faults to choose from
 *
 * @example
 * ```ts
 * import { generatePlan } from "./plan.ts";
 * if (JSON.stringify(generatePlan(3)) !== JSON.stringify(generatePlan(3))) throw new Error("plans differ");
 * ```
 */
export function generatePlan(seed: number, kinds: readonly FaultKind[] = faultKinds): Plan {
  const random = createRandom(seed);
  const workers = random.between(2, 3);
  return {
    seed,
    workers,
    slots: random.between(5, 10),
    plannedTasks: generateTasks(random.fork("orders"), windowMs - 1_000),
    plannedFaults: generateFaults(random.fork("strikes"), workers, windowMs, kinds),
  };
}
