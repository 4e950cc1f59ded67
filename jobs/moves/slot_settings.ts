/** How many attempts of each queue may run at once, and why; set by hand for a while, and taken back. */
import type { Pool, Sql } from "../../db/pg/connect.ts";
import { countRunning } from "../../db/queue/dispatch.ts";
import {
  deleteSlotOverride,
  listQueueReasons,
  listSlotChanges,
  listSlotOverrides,
  saveSlotOverride,
  type SlotChange,
  type SlotOverride,
} from "../../db/queue/slots.ts";
import { type Queue, queues } from "../../db/queue/subtasks.ts";
import type { Log } from "../../log.ts";

/** A queue's slots as an operator sees them. */
export interface QueueReport {
  queue: Queue;
  /** Over all workers; null before the first worker began. */
  slots: number | null;
  /** What the backlog alone would have. */
  wanted: number | null;
  running: number;
  reason: string | null;
  changed_at: Date | null;
  /** Set by hand; null where nothing is. */
  override: SlotOverride | null;
  /** Newest first. */
  changes: SlotChange[];
}

/** @param wish.changes how many of the latest changes */
export async function listSlots(
  sql: Sql,
  { queue: only, changes }: { queue?: Queue; changes: number },
): Promise<QueueReport[]> {
  const rows = new Map((await listQueueReasons(sql)).map((row) => [row.queue, row]));
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
      changes: await listSlotChanges(sql, queue, changes),
    });
  }
  return reports;
}

/** What was set by hand, in a sentence. */
export const describeOverride = ({ queue, slots, reason, made_by, expires_at }: SlotOverride): string =>
  `${queue} is set to ${slots} slots by hand until ${expires_at.toISOString()}, by ${made_by}: ${reason}`;

function describeQueue(
  { queue, slots, wanted, running, reason, changed_at, ...more }: QueueReport,
): string[] {
  const head = slots === null
    ? `${queue}: no slots yet, no worker has begun`
    : `${queue}: ${slots} slots, ${running} taken, ${wanted} by the backlog alone; ` +
      `${reason} (since ${changed_at!.toISOString()})`;
  return [
    head,
    ...more.override === null ? [] : [`    ${describeOverride(more.override)}`],
    ...more.changes.map(({ changed_at: at, slots_before, slots_after, reason: why }) =>
      `    ${at.toISOString()}  ${slots_before} → ${slots_after}  ${why}`
    ),
  ];
}

export const describeSlots = (all: QueueReport[]): string => all.flatMap(describeQueue).join("\n");

/** Sets a queue's slots for a while. @returns what to tell */
export async function setSlots(
  { sql, log }: { sql: Pool; log: Log },
  { queue, slots, forMs, reason, by }: {
    queue: Queue;
    slots: number;
    forMs: number;
    reason: string;
    by: string;
  },
): Promise<string> {
  const override = await saveSlotOverride(sql, { queue, slots, forMs, reason, made_by: by });
  log.info("slots set by hand", { queue, slots, by, until: override.expires_at.toISOString() });
  return `${
    describeOverride(override)
  }; the leader obeys within a second, what runs beyond it ends by itself`;
}

/** Takes back what was set by hand. @returns what to tell */
export async function clearSlots({ sql, log }: { sql: Pool; log: Log }, queue: Queue): Promise<string> {
  if (!await deleteSlotOverride(sql, queue)) return `${queue}: nothing was set by hand`;
  log.info("slots no longer set by hand", { queue });
  return `${queue}: backlog and health decide again`;
}
