/** Watches whether work goes on: a stretch without a start, although there is work, room and a worker for it. */
import type { Stage } from "./stage.ts";
import { pause } from "./stage.ts";

export interface Stall {
  from: number;
  to: number;
  /** How long it was by the looks that fitted into it: on a machine with too much to do fewer do. */
  seconds: number;
}

const lookEveryMs = 200;

const seconds = () => Date.now() / 1000;

interface Look {
  starts: number;
  work: number;
  room: number;
}

async function look({ sql }: Stage): Promise<Look> {
  const [row] = await sql<Look[]>`
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

/** A look that took longer tells of a machine with too much to do, not of a queue that stands still. */
const lookMsMax = 500;

/**
 * Looks until it is told to stop.
 *
 * @param troubled true while a fault is under way, or a worker is not there
 * @returns stretches longer than a second
 */
export async function watchProgress(
  stage: Stage,
  troubled: () => boolean,
  signal: AbortSignal,
): Promise<Stall[]> {
  const stalls: Stall[] = [];
  let since = seconds();
  let idleUntil = seconds();
  let looks = 0;
  let starts = -1;
  const note = () => {
    const lasted = looks * lookEveryMs / 1000;
    if (lasted > 1) stalls.push({ from: since, to: idleUntil, seconds: lasted });
  };
  while (!signal.aborted) {
    const lookedAt = performance.now();
    const seen = await look(stage).catch(() => undefined);
    const swift = performance.now() - lookedAt < lookMsMax;
    const idle = swift && seen !== undefined && seen.starts === starts && seen.work > 0 && seen.room > 0 &&
      !troubled();
    if (!idle) {
      note();
      since = seconds();
    }
    looks = idle ? looks + 1 : 0;
    idleUntil = seconds();
    starts = seen?.starts ?? starts;
    await pause(lookEveryMs);
  }
  note();
  return stalls;
}
