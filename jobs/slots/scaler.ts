/** Decides the slots of each queue over all workers. Only the leader runs it. */
import type { Sql } from "../../db/pg/connect.ts";
import { type BackendName, backendNames, backendOf } from "../../db/queue/backends.ts";
import { countBacklog, countRunning } from "../../db/queue/dispatch.ts";
import {
  listQueueSlots,
  listSlotOverrides,
  type QueueSlots,
  saveQueueSlots,
  type SlotOverride,
  type SlotsDecision,
} from "../../db/queue/slots.ts";
import { type Queue, queues } from "../../db/queue/subtasks.ts";
import { listHealth } from "../../db/queue/workers.ts";
import type { Log } from "../../log.ts";
import { adjustCap, type Cap, subtractCounts, uncapped } from "./aimd.ts";
import { type HealthCounts, noCounts } from "../image/health.ts";
import { noPressure, type Pressure, scale, type ScaleRule } from "./scale_rules.ts";

export interface ScaleDeps {
  sql: Sql;
  log: Log;
  rules: Record<Queue, ScaleRule>;
}

/** Time for which lent slots stay with `high` after it last needed them. */
const lentForMs = 10_000;

/**
 * Returns the slots that `standard` lends to `high`: those that `high` needs beyond its own, at most half.
 */
export function countLent(standard: number, own: number, cells: number): number {
  return Math.max(0, Math.min(Math.floor(standard / 2), cells - own));
}

/**
 * Decides the slots of all queues, in four steps: the backlog proposes a number, the backend's health caps
 * it, `standard` lends slots to `high`, and an override replaces the result.
 */
export class Scaler {
  readonly #deps: ScaleDeps;
  readonly #pressure = new Map<Queue, Pressure>();
  readonly #caps = new Map<BackendName, Cap>();
  #counts = new Map<string, HealthCounts>();
  #lent = { slots: 0, neededAtMs: -Infinity };

  constructor(deps: ScaleDeps) {
    this.#deps = deps;
  }

  /** Decides and saves the slots of all queues once. */
  async runOnce(nowMs = performance.now()): Promise<void> {
    const { sql, log } = this.#deps;
    const current = await listQueueSlots(sql);
    const decisions = new Map<Queue, SlotsDecision>();
    for (const row of current) decisions.set(row.queue, await this.#decideByBacklog(row, nowMs));
    await this.#capByHealth(current, decisions, nowMs);
    const overrides = new Map((await listSlotOverrides(sql)).map((override) => [override.queue, override]));
    await this.#lend(decisions, overrides, nowMs);
    for (const [queue, override] of overrides) applyOverride(decisions.get(queue), override);
    const before = new Map(current.map((row) => [row.queue, row]));
    const changed = [...decisions.values()].filter(({ queue, slots, wanted }) =>
      slots !== before.get(queue)!.slots || wanted !== before.get(queue)!.wanted
    );
    if (changed.length === 0) return;
    await saveQueueSlots(sql, changed);
    for (const { queue, slots, reason } of changed) {
      const from = before.get(queue)!.slots;
      if (slots !== from) log.info("slots changed", { queue, from, to: slots, reason });
    }
  }

  async #decideByBacklog({ queue, wanted }: QueueSlots, nowMs: number): Promise<SlotsDecision> {
    const rule = this.#deps.rules[queue];
    const backlog = await countBacklog(this.#deps.sql, queue, 2 * rule.slotsMax + 1);
    const before = this.#pressure.get(queue) ?? noPressure;
    const { pressure, change } = scale(rule, { slots: wanted, backlog }, before, nowMs);
    this.#pressure.set(queue, pressure);
    const slots = change?.slots ?? wanted;
    return { queue, slots, wanted: slots, reason: change?.reason ?? `${slots} by the backlog` };
  }

  /** Returns the counts of all workers since the last call, by backend. */
  async #readNewCounts(): Promise<Map<BackendName, HealthCounts>> {
    const seen = new Map<BackendName, HealthCounts>();
    const latest = new Map<string, HealthCounts>();
    for (const { worker, backend, ...counts } of await listHealth(this.#deps.sql)) {
      const key = `${worker} ${backend}`;
      latest.set(key, counts);
      const increase = subtractCounts(counts, this.#counts.get(key));
      const sum = seen.get(backend as BackendName) ?? noCounts;
      const add = (part: keyof HealthCounts) => sum[part] + increase[part];
      seen.set(backend as BackendName, {
        creates: add("creates"),
        createMs: add("createMs"),
        calls: add("calls"),
        failures: add("failures"),
        throttled: add("throttled"),
      });
    }
    this.#counts = latest;
    return seen;
  }

  async #capByHealth(
    current: QueueSlots[],
    decisions: Map<Queue, SlotsDecision>,
    nowMs: number,
  ): Promise<void> {
    const seen = await this.#readNewCounts();
    for (const backend of backendNames) {
      const slots = current.find(({ queue }) => queue === backend)?.slots ?? 0;
      const limits = { ...this.#deps.rules[backend], slots };
      const { cap, reason } = adjustCap(
        this.#caps.get(backend) ?? uncapped,
        seen.get(backend) ?? noCounts,
        limits,
        nowMs,
      );
      this.#caps.set(backend, cap);
      if (reason) this.#deps.log.info("slots capped by health", { backend, slots: cap.slots, reason });
      for (const queue of queues) {
        const decision = decisions.get(queue);
        if (!decision || backendOf(queue) !== backend || decision.slots <= cap.slots) continue;
        Object.assign(decision, {
          slots: cap.slots,
          reason: reason ?? `the API's health allows ${cap.slots}`,
        });
      }
    }
  }

  async #lend(
    decisions: Map<Queue, SlotsDecision>,
    overrides: Map<Queue, SlotOverride>,
    nowMs: number,
  ): Promise<void> {
    const high = decisions.get("high");
    const standard = decisions.get("standard");
    // Lending must not change the number that an override sets.
    if (!high || !standard || overrides.has("high") || overrides.has("standard")) {
      this.#lent.slots = 0;
      return;
    }
    const { sql } = this.#deps;
    const cells = (await countRunning(sql)).get("high") ?? 0;
    const pending = await countBacklog(sql, "high", standard.slots + high.slots + 1);
    const needed = countLent(standard.slots, high.slots, cells + pending);
    if (needed >= this.#lent.slots) this.#lent = { slots: needed, neededAtMs: nowMs };
    if (nowMs - this.#lent.neededAtMs >= lentForMs) this.#lent = { slots: needed, neededAtMs: nowMs };
    const lent = Math.min(this.#lent.slots, Math.floor(standard.slots / 2));
    if (lent === 0) return;
    Object.assign(standard, { slots: standard.slots - lent, reason: `${lent} lent to high` });
    Object.assign(high, { slots: high.slots + lent, reason: `${lent} borrowed from standard` });
  }
}

function applyOverride(
  decision: SlotsDecision | undefined,
  { slots, reason, made_by, expires_at }: SlotOverride,
) {
  if (!decision) return;
  Object.assign(decision, {
    slots,
    reason: `set by ${made_by} until ${expires_at.toISOString()}: ${reason}`,
  });
}
