/** A worker's part of the slots: pure. */
import type { Queue } from "../../db/queue/subtasks.ts";
import type { Room } from "../../db/queue/workers.ts";

/** What a worker would like, and what it has. */
export interface Appetite {
  queues: readonly Queue[];
  /** The most of each queue, instead of an equal share. */
  slotsMax?: number;
  /** Attempts under way: they cannot be taken back. */
  busy: (queue: Queue) => number;
}

/** Of one queue: how many it may begin up to, and how many it would have were they free. */
export interface Portion {
  slots: number;
  target: number;
}

/** Queues that draw on the same generator and lend to each other: together they never have more than their sum. */
const pool: readonly Queue[] = ["standard", "high"];

const sum = (rooms: Room[], key: "slots" | "others" | "own") =>
  rooms.reduce((all, room) => all + room[key], 0);

/**
 * Shares slots equally among the workers of a queue, but takes nothing that others still hold: what a worker has
 * under way stays its own until it ends, so a share may have to wait.
 *
 * @example
 * ```ts
 * import { shareSlots } from "./shares.ts";
 * const room = { queue: "lumina" as const, slots: 10, others: 8, own: 0, place: 1, workers: 2 };
 * const shares = shareSlots([room], { queues: ["lumina"], busy: () => 0 });
 * const { slots, target } = shares.get("lumina")!;
 * if (slots !== 2 || target !== 5) throw new Error("two are free of the five that are its share");
 * ```
 */
export function shareSlots(rooms: Room[], { queues, slotsMax, busy }: Appetite): Map<Queue, Portion> {
  const pooled = rooms.filter(({ queue }) => pool.includes(queue));
  const poolFree = sum(pooled, "slots") - sum(pooled, "others");
  const owned = new Map(rooms.map(({ queue, own }) => [queue, own]));
  const portions = new Map<Queue, Portion>();
  for (const { queue, slots, others, place, workers } of rooms) {
    if (!queues.includes(queue)) continue;
    const equal = Math.floor(slots / workers) + (place < slots % workers ? 1 : 0);
    const target = slotsMax === undefined ? equal : Math.min(slotsMax, slots);
    const sibling = pool.includes(queue) ? pool.find((other) => other !== queue)! : undefined;
    const free = sibling === undefined
      ? slots - others
      : Math.min(slots - others, poolFree - (owned.get(sibling) ?? 0));
    const taken = Math.max(0, Math.min(target, free));
    portions.set(queue, { slots: taken, target });
    // The next of the pool counts with what this one will hold.
    owned.set(queue, Math.max(taken, busy(queue)));
  }
  return portions;
}
