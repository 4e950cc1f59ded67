/** How many attempts of a queue may run at once (EXECUTION.md «Concurrency»): pure. */
import type { Config } from "../../config.ts";
import type { Queue } from "../../db/queue/subtasks.ts";

/** One line of the table. */
export interface ScaleRule {
  slotsMin: number;
  slotsMax: number;
  step: number;
  upAfterMs: number;
  downAfterMs: number;
}

/** The rules by queue; `high` has few slots of its own, so that urgent work never waits behind the rest. */
export function readScaleRules(config: Config): Record<Queue, ScaleRule> {
  const rule = (min: number, max: number, step: number, up: number, down: number): ScaleRule => ({
    slotsMin: min,
    slotsMax: Math.max(min, max),
    step,
    upAfterMs: up * 1000,
    downAfterMs: down * 1000,
  });
  return {
    high: rule(5, 5, 1, 60, 180),
    standard: rule(
      config.TASK_EXECUTOR_MIN_CONCURRENT,
      config.TASK_EXECUTOR_MAX_CONCURRENT,
      config.TASK_EXECUTOR_SCALE_UP_STEP,
      config.TASK_EXECUTOR_SCALE_UP_INTERVAL,
      config.TASK_EXECUTOR_SCALE_DOWN_INTERVAL,
    ),
    lumina: rule(
      config.LUMINA_EXECUTOR_MIN_CONCURRENT,
      config.LUMINA_EXECUTOR_MAX_CONCURRENT,
      config.LUMINA_EXECUTOR_SCALE_UP_STEP,
      config.LUMINA_EXECUTOR_SCALE_UP_INTERVAL,
      config.LUMINA_EXECUTOR_SCALE_DOWN_INTERVAL,
    ),
  };
}

/** What the scaler remembers of a queue: since when its backlog has pressed one way, in ms of one clock. */
export interface Pressure {
  way: "up" | "down" | "none";
  sinceMs: number;
}

export const noPressure: Pressure = { way: "none", sinceMs: 0 };

/**
 * Looks at a queue once: up by a step after an interval with a backlog of more than twice the slots, down after one
 * with a backlog below the slots.
 *
 * @returns the new memory, and a change where it is time for one
 *
 * @example
 * ```ts
 * import { scale } from "./scaler.ts";
 * const rule = { slotsMin: 10, slotsMax: 50, step: 5, upAfterMs: 60_000, downAfterMs: 180_000 };
 * const first = scale(rule, { slots: 10, backlog: 21 }, { way: "none", sinceMs: 0 }, 0);
 * const later = scale(rule, { slots: 10, backlog: 21 }, first.pressure, 60_000);
 * if (first.change || later.change?.slots !== 15) throw new Error("five more after a minute");
 * ```
 */
export function scale(
  { slotsMin, slotsMax, step, upAfterMs, downAfterMs }: ScaleRule,
  { slots, backlog }: { slots: number; backlog: number },
  before: Pressure,
  nowMs: number,
): { pressure: Pressure; change?: { slots: number; reason: string } } {
  const bounded = Math.min(slotsMax, Math.max(slotsMin, slots));
  const fresh: Pressure = { way: "none", sinceMs: nowMs };
  if (bounded !== slots) {
    return {
      pressure: fresh,
      change: { slots: bounded, reason: `bounds are ${slotsMin} to ${slotsMax}` },
    };
  }
  const way = backlog > 2 * slots ? "up" : backlog < slots ? "down" : "none";
  const pressure = way === before.way ? before : { way, sinceMs: nowMs } as Pressure;
  const wanted = way === "up" ? slots + step : way === "down" ? slots - step : slots;
  const next = Math.min(slotsMax, Math.max(slotsMin, wanted));
  const due = nowMs - pressure.sinceMs >= (way === "up" ? upAfterMs : downAfterMs);
  if (next === slots || !due) return { pressure };
  return {
    pressure: { way, sinceMs: nowMs },
    change: { slots: next, reason: `backlog ${backlog} with ${slots} slots` },
  };
}
