/**
 * The rules by which the backlog changes a queue's slots: one step up after the backlog was more than twice the
 * slots for an interval, one step down after it was below the slots for one. Pure.
 */
import type { Config } from "../../config.ts";
import type { Queue } from "../../db/queue/subtasks.ts";
import { counted } from "../../phrases.ts";

/** The bounds, step and intervals of one queue. */
export interface ScaleRule {
  slotsMin: number;
  slotsMax: number;
  step: number;
  upAfterMs: number;
  downAfterMs: number;
}

interface RuleSettings {
  slotsMin: number;
  slotsMax: number;
  step: number;
  upAfterSeconds: number;
  downAfterSeconds: number;
}

const toRule = ({ slotsMin, slotsMax, step, upAfterSeconds, downAfterSeconds }: RuleSettings): ScaleRule => ({
  slotsMin,
  slotsMax: Math.max(slotsMin, slotsMax),
  step,
  upAfterMs: upAfterSeconds * 1000,
  downAfterMs: downAfterSeconds * 1000,
});

/** Returns the rules by queue. Queue `high` has a few slots of its own, so that urgent work does not wait. */
export function readScaleRules(config: Config): Record<Queue, ScaleRule> {
  return {
    high: toRule({ slotsMin: 5, slotsMax: 5, step: 1, upAfterSeconds: 60, downAfterSeconds: 180 }),
    standard: toRule({
      slotsMin: config.TASK_EXECUTOR_MIN_CONCURRENT,
      slotsMax: config.TASK_EXECUTOR_MAX_CONCURRENT,
      step: config.TASK_EXECUTOR_SCALE_UP_STEP,
      upAfterSeconds: config.TASK_EXECUTOR_SCALE_UP_INTERVAL,
      downAfterSeconds: config.TASK_EXECUTOR_SCALE_DOWN_INTERVAL,
    }),
    lumina: toRule({
      slotsMin: config.LUMINA_EXECUTOR_MIN_CONCURRENT,
      slotsMax: config.LUMINA_EXECUTOR_MAX_CONCURRENT,
      step: config.LUMINA_EXECUTOR_SCALE_UP_STEP,
      upAfterSeconds: config.LUMINA_EXECUTOR_SCALE_UP_INTERVAL,
      downAfterSeconds: config.LUMINA_EXECUTOR_SCALE_DOWN_INTERVAL,
    }),
  };
}

/**
 * The direction in which a queue's backlog calls for a change, and since when, in milliseconds of one clock.
 */
export interface Pressure {
  way: "up" | "down" | "none";
  sinceMs: number;
}

export const noPressure: Pressure = { way: "none", sinceMs: 0 };

/**
 * Evaluates the rule of a queue once. Slots increase by a step after the backlog was more than twice the
 * slots for the whole interval, and decrease by a step after it was below the slots.
 *
 * @returns the new pressure, and the change if one is due
 *
 * @example
 * ```ts
 * import { scale } from "./scale_rules.ts";
 * const rule = { slotsMin: 10, slotsMax: 50, step: 5, upAfterMs: 60_000, downAfterMs: 180_000 };
 * const first = scale(rule, { slots: 10, backlog: 21 }, { way: "none", sinceMs: 0 }, 0);
 * const later = scale(rule, { slots: 10, backlog: 21 }, first.pressure, 60_000);
 * if (first.change || later.change?.slots !== 15) throw new Error("five more slots after a minute");
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
    change: { slots: next, reason: `backlog ${backlog} with ${counted(slots, "slot")}` },
  };
}
