/** Watches for stalls: periods without a claim although there is work, a free slot and no fault. */
import type { Rig } from "./rig.ts";
import { pause } from "./servers.ts";

/** A period without a claim. Times are in seconds since 1970. */
export interface Stall {
  from: number;
  to: number;
  /** Duration by the number of polls in it, so that an overloaded machine does not count as a stall. */
  seconds: number;
}

const pollMs = 200;

const seconds = () => Date.now() / 1000;

interface Progress {
  starts: number;
  work: number;
  room: number;
}

async function readProgress({ sql }: Rig): Promise<Progress> {
  const [row] = await sql<Progress[]>`
    select
      (select count(*) from chaos.moves where becomes = 'processing' and was = 'pending')::int as starts,
      (
        select count(*) from subtasks s join tasks t on t.id = s.parent_task_id
        where s.status = 'pending' and s.queue = 'standard' and t.status in ('pending', 'processing') and t.hold is null
          and not t.is_deleted
      )::int as work,
      (
        coalesce((select slots from queue_slots where queue = 'standard'), 0)
        - (select count(*) from subtasks where status = 'processing' and queue = 'standard')
      )::int as room`;
  return row!;
}

/** Longer queries show an overloaded machine, not a stalled queue, and end a stall. */
const queryMsMax = 500;

/**
 * Watches until the signal is aborted.
 *
 * @param disturbed reports whether a fault is active or a worker is not ready
 * @returns stalls longer than a second
 */
export async function watchProgress(
  rig: Rig,
  disturbed: () => boolean,
  signal: AbortSignal,
): Promise<Stall[]> {
  const stalls: Stall[] = [];
  let since = seconds();
  let idleUntil = seconds();
  let polls = 0;
  let starts = -1;
  const recordStall = () => {
    const lasted = polls * pollMs / 1000;
    if (lasted > 1) stalls.push({ from: since, to: idleUntil, seconds: lasted });
  };
  while (!signal.aborted) {
    const queriedAt = performance.now();
    const current = await readProgress(rig).catch(() => undefined);
    const swift = performance.now() - queriedAt < queryMsMax;
    const idle = swift && current !== undefined && current.starts === starts && current.work > 0 &&
      current.room > 0 &&
      !disturbed();
    if (!idle) {
      recordStall();
      since = seconds();
    }
    polls = idle ? polls + 1 : 0;
    idleUntil = seconds();
    starts = current?.starts ?? starts;
    await pause(pollMs);
  }
  recordStall();
  return stalls;
}
