/** What happens in a run, and when: drawn from its seed before anything starts. */
import { createDice, type Dice } from "./random.ts";
import { type FaultKind, faultKinds, faults } from "./faults.ts";

/** A fault about to be done. */
export interface Strike {
  /** After the start of the run. */
  atMs: number;
  kind: FaultKind;
  /** The worker's place it hits, where it hits one. */
  place: number;
  /** For how long. */
  ms: number;
  /** Chance that is left to the fault, 0 up to 1. */
  luck: number;
}

/** A task about to be submitted. */
export interface Order {
  atMs: number;
  name: string;
  /** One a cell, each the only one of its kind in the run. */
  prompts: string[];
  priority: number;
  /** What its owner does with it later. */
  then?: { kind: "cancel" | "delete" | "replay"; afterMs: number };
}

export interface Plan {
  seed: number;
  workers: number;
  /** Of the standard queue, over all workers. */
  slots: number;
  orders: Order[];
  strikes: Strike[];
}

/** Scripts of the played image API that some cells carry; `fails`: such a cell ends as failed. */
const scripts = [
  { text: "@@create:451", fails: true },
  { text: "@@poll:ILLEGAL_IMAGE", fails: true },
  { text: "@@poll:TIMEOUT*1", fails: false },
  { text: "@@create:500*1", fails: false },
  { text: "@@poll:EMPTY*1", fails: false },
];

/** Whether a prompt says by itself that its cell fails. */
export const saysFailure = (prompt: string): boolean =>
  scripts.some(({ text, fails }) => fails && prompt.includes(text));

function drawPrompts(dice: Dice, task: number, cells: number): string[] {
  return Array.from({ length: cells }, (_, cell) => {
    const script = dice.once(14) ? ` ${dice.pick(scripts).text}` : "";
    return `task ${task} cell ${cell}${script}`;
  });
}

function drawOrders(dice: Dice, windowMs: number): Order[] {
  const sizes = [dice.between(30, 60), 1, dice.between(2, 12), dice.between(10, 30), dice.between(2, 20)];
  const chosen = sizes.slice(0, dice.between(3, sizes.length));
  return chosen.map((cells, i) => {
    const order: Order = {
      atMs: i === 0 ? 0 : dice.between(0, windowMs),
      name: `chaos ${i}`,
      prompts: drawPrompts(dice, i, cells),
      priority: dice.once(5) ? 2 : 1,
    };
    const kind = dice.pick(["cancel", "delete", "replay", "replay", undefined, undefined] as const);
    return kind === undefined ? order : { ...order, then: { kind, afterMs: dice.between(100, 2_500) } };
  });
}

function drawStrikes(dice: Dice, workers: number, windowMs: number, kinds: readonly FaultKind[]): Strike[] {
  const weights = kinds.flatMap((kind) => Array<FaultKind>(faults[kind].weight).fill(kind));
  return Array.from({ length: dice.between(1, 4) }, () => {
    const kind = dice.pick(weights.length > 0 ? weights : faultKinds);
    const [least, most] = faults[kind].ms;
    return {
      kind,
      atMs: dice.between(300, windowMs),
      place: dice.between(0, workers - 1),
      ms: dice.between(least, most),
      luck: dice.next(),
    };
  }).sort((a, b) => a.atMs - b.atMs);
}

/** Part of a run in which faults begin. */
const windowMs = 5_000;

/**
 * Draws a run.
 *
 * @param kinds the faults to choose from; every one unless told
 *
 * @example
 * ```ts
 * import { drawPlan } from "./schedule.ts";
 * if (JSON.stringify(drawPlan(3)) !== JSON.stringify(drawPlan(3))) throw new Error("a seed replays");
 * ```
 */
export function drawPlan(seed: number, kinds: readonly FaultKind[] = faultKinds): Plan {
  const dice = createDice(seed);
  const workers = dice.between(2, 3);
  return {
    seed,
    workers,
    slots: dice.between(5, 10),
    orders: drawOrders(dice.fork("orders"), windowMs - 1_000),
    strikes: drawStrikes(dice.fork("strikes"), workers, windowMs, kinds),
  };
}
