/** Reports the slots of the queues, and sets and clears slot overrides. */
import type { Pool, Sql } from "../../db/pg/connect.ts";
import { countRunning } from "../../db/queue/dispatch.ts";
import {
  deleteSlotOverride,
  listQueueSlotReasons,
  listSlotChanges,
  listSlotOverrides,
  saveSlotOverride,
  type SlotChange,
  type SlotOverride,
} from "../../db/queue/slots.ts";
import { type Queue, queues } from "../../db/queue/subtasks.ts";
import type { Fields, Log } from "../../log.ts";
import { counted } from "../../phrases.ts";

/** The slots of a queue, for an operator. */
export interface QueueReport {
  queue: Queue;
  /** Slots over all workers; null before the first worker has started. */
  slots: number | null;
  /** Slots that the backlog alone would get. */
  wanted: number | null;
  running: number;
  reason: string | null;
  changed_at: Date | null;
  /** The present override; null if there is none. */
  override: SlotOverride | null;
  /** Newest first. */
  changes: SlotChange[];
}

/** Lists reports on all queues or one. @param options.changes number of the latest changes to include */
export async function listSlots(
  sql: Sql,
  { queue: only, changes }: { queue?: Queue; changes: number },
): Promise<QueueReport[]> {
  const rows = new Map((await listQueueSlotReasons(sql)).map((row) => [row.queue, row]));
  const running = await countRunning(sql);
  const overrides = new Map((await listSlotOverrides(sql)).map((row) => [row.queue, row]));
  const reports: QueueReport[] = [];
  for (const queue of only === undefined ? queues : [only]) {
    const { slots = null, wanted = null, reason = null, changed_at = null } = rows.get(queue) ?? {};
    reports.push({
      queue,
      slots,
      wanted,
      reason,
      changed_at,
      running: running.get(queue) ?? 0,
      override: overrides.get(queue) ?? null,
      changes: await listSlotChanges(sql, [queue], changes),
    });
  }
  return reports;
}

/** Describes a slot override in one sentence. */
export const describeOverride = ({ queue, slots, reason, made_by, expires_at }: SlotOverride): string =>
  `${queue} is set to ${
    counted(slots, "slot")
  } by hand until ${expires_at.toISOString()}, by ${made_by}: ${reason}`;

function describeQueue(
  { queue, slots, wanted, running, reason, changed_at, ...more }: QueueReport,
): string[] {
  const head = slots === null
    ? `${queue}: no slots yet, because no worker has started`
    : `${queue}: ${counted(slots, "slot")}, ${running} in use, ${wanted} wanted for the backlog; ` +
      `${reason} (since ${changed_at!.toISOString()})`;
  return [
    head,
    ...more.override === null ? [] : [`    ${describeOverride(more.override)}`],
    ...more.changes.map(({ changed_at: at, slots_before, slots_after, reason: why }) =>
      `    ${at.toISOString()}  ${slots_before} → ${slots_after}  ${why}`
    ),
  ];
}

/** Describes reports, one queue after the other. */
export const describeSlots = (all: QueueReport[]): string => all.flatMap(describeQueue).join("\n");

interface SlotDeps {
  sql: Pool;
  log: Log;
}

/** Sets a slot override for `forMs`. `who` names in the log who set it. */
export async function setSlots(
  { sql, log }: SlotDeps,
  { queue, slots, forMs, reason, by }: {
    queue: Queue;
    slots: number;
    forMs: number;
    reason: string;
    by: string;
  },
  who: Fields = { by },
): Promise<SlotOverride> {
  const override = await saveSlotOverride(sql, { queue, slots, forMs, reason, made_by: by });
  log.info("slot override set", { queue, slots, until: override.expires_at.toISOString(), ...who });
  return override;
}

/** Clears a slot override. Returns whether there was one. */
export async function clearSlots({ sql, log }: SlotDeps, queue: Queue, who: Fields = {}): Promise<boolean> {
  if (!await deleteSlotOverride(sql, queue)) return false;
  log.info("slot override cleared", { queue, ...who });
  return true;
}

/** Describes an override that was just set. */
export const describeSetOverride = (override: SlotOverride): string =>
  `${describeOverride(override)}; ` +
  "the leader applies it within a second, and attempts beyond it finish normally";

/** Describes the end of an override. */
export const describeClearedOverride = (queue: Queue, existed: boolean): string =>
  existed
    ? `${queue}: the slot override is cleared; backlog and health decide again`
    : `${queue}: no slot override is set`;
