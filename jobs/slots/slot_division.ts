/** The division of a queue's slots among its workers: pure. */
import type { Queue } from "../../db/queue/subtasks.ts";
import type { SlotUsage } from "../../db/queue/workers.ts";

/** The demand of one worker. */
export interface Demand {
  queues: readonly Queue[];
  /** Maximum slots of each queue, instead of an equal part. */
  slotsMax?: number;
  /** Returns the number of running attempts. Their slots cannot be withdrawn. */
  busy: (queue: Queue) => number;
}

/**
 * The slots of one queue for one worker: `slots` are free now, `target` is its part once others return
 * theirs.
 */
export interface Allotment {
  slots: number;
  target: number;
}

/**
 * Queues of the same backend that lend each other slots. Together they never use more than the sum of their
 * slots.
 */
const pool: readonly Queue[] = ["standard", "high"];

const sum = (usages: SlotUsage[], key: "slots" | "others" | "own") =>
  usages.reduce((total, usage) => total + usage[key], 0);

/**
 * Computes a worker's slots. Each queue is divided equally among its workers. Slots that other workers still
 * hold are not given out: a running attempt keeps its slot until it ends.
 *
 * @example
 * ```ts
 * import { divideSlots } from "./slot_division.ts";
 * const usage = { queue: "lumina" as const, slots: 10, others: 8, own: 0, rank: 1, workers: 2 };
 * const { slots, target } = divideSlots([usage], { queues: ["lumina"], busy: () => 0 }).get("lumina")!;
 * if (slots !== 2 || target !== 5) throw new Error("its part is five, of which two are free");
 * ```
 */
export function divideSlots(usages: SlotUsage[], { queues, slotsMax, busy }: Demand): Map<Queue, Allotment> {
  const pooled = usages.filter(({ queue }) => pool.includes(queue));
  const poolFree = sum(pooled, "slots") - sum(pooled, "others");
  const owned = new Map(usages.map(({ queue, own }) => [queue, own]));
  const allotments = new Map<Queue, Allotment>();
  for (const { queue, slots, others, rank, workers } of usages) {
    if (!queues.includes(queue)) continue;
    const equal = Math.floor(slots / workers) + (rank < slots % workers ? 1 : 0);
    const target = slotsMax === undefined ? equal : Math.min(slotsMax, slots);
    const sibling = pool.includes(queue) ? pool.find((other) => other !== queue)! : undefined;
    const free = sibling === undefined
      ? slots - others
      : Math.min(slots - others, poolFree - (owned.get(sibling) ?? 0));
    const granted = Math.max(0, Math.min(target, free));
    allotments.set(queue, { slots: granted, target });
    // The next queue of the pool sees the slots that this one will hold.
    owned.set(queue, Math.max(granted, busy(queue)));
  }
  return allotments;
}
