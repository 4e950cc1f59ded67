/** Rules about time: concurrency limits, cancellations, stalls and the ends of workers. */
import type { SlotsMove } from "./audit.ts";
import type { Facts } from "./facts.ts";

/** A change of the number of concurrent jobs. */
interface Step {
  at: number;
  by: number;
}

/** Returns the highest number of concurrent jobs and its time. */
function findPeak(steps: Step[]): { max: number; at: number } {
  // At equal times, ends come before starts.
  steps.sort((a, b) => a.at - b.at || a.by - b.by);
  let current = 0;
  let peak = { max: 0, at: 0 };
  for (const { at, by } of steps) {
    current += by;
    if (current > peak.max) peak = { max: current, at };
  }
  return peak;
}

/** The period of one lease. */
interface LeasePeriod {
  queue: string;
  from: number;
  to: number;
}

/** Lists when workers logged that they abandoned a cell, by task and cell. */
function listReleases({ log }: Facts): Map<string, { at: number; pid: number }[]> {
  const logged = log.filter(({ text }) => text.includes('"outcome":"lost"')).map(({ at, pid, text }) => {
    const { task_id, cell } = JSON.parse(text) as { task_id: string; cell: number };
    return { key: `${task_id} ${cell}`, at, pid };
  });
  return Map.groupBy(logged, ({ key }) => key);
}

/**
 * Lists the leases under which a job was created or polled. A claim whose answer never reached its worker holds a lease
 * but runs no job. The same is true of a lease that its worker abandoned because it could no longer be sure of it.
 */
function listLeases(facts: Facts): LeasePeriod[] {
  const { moves, cells, posts } = facts;
  const keys = new Map(cells.map(({ id, key }) => [id, key]));
  const cellRefs = new Map(cells.map(({ id, task_id, cell }) => [id, `${task_id} ${cell}`]));
  const releases = listReleases(facts);
  const open = new Map<string, LeasePeriod & { worked: boolean }>();
  const periods: LeasePeriod[] = [];
  for (const { id, at, queue, was, becomes, remote_was, worker_was } of moves) {
    if (was !== "processing" && becomes === "processing") {
      open.set(id, { queue, from: at, to: Infinity, worked: remote_was !== null });
    }
    const lease = open.get(id);
    if (!lease || was !== "processing" || becomes === "processing") continue;
    const posted = posts.get(keys.get(id)!)?.some((post) => {
      const postedAt = post.at.getTime() / 1000;
      return postedAt >= lease.from - 0.001 && postedAt <= at;
    });
    const left = releases.get(cellRefs.get(id)!)?.find((release) =>
      release.at >= lease.from && release.at <= at && worker_was?.includes(`-${release.pid}-`)
    );
    if (lease.worked || posted) periods.push({ ...lease, to: left?.at ?? at });
    open.delete(id);
  }
  return periods;
}

/** Returns the highest sum of the slots of these queues over time. Queue `high` borrows slots from `standard`. */
function findLimit(slotsMoves: SlotsMove[], queues: string[]): number {
  const slots = new Map<string, number>();
  let limit = 0;
  for (const move of slotsMoves) {
    slots.set(move.queue, move.slots);
    limit = Math.max(limit, queues.reduce((sum, queue) => sum + (slots.get(queue) ?? 0), 0));
  }
  return limit;
}

/** Checks that no more jobs ran at once than there were slots. */
export function checkLimits(facts: Facts): string[] {
  const periods = listLeases(facts);
  return [["high"], ["standard"], ["high", "standard"]].flatMap((queues) => {
    const limit = findLimit(facts.slotsMoves, queues);
    const steps = periods.filter(({ queue }) => queues.includes(queue)).flatMap(({ from, to }): Step[] => [
      { at: from, by: 1 },
      { at: to, by: -1 },
    ]);
    const peak = findPeak(steps);
    if (peak.max <= limit) return [];
    const at = (peak.at - facts.moves[0]!.at).toFixed(2);
    return [`${peak.max} concurrent jobs of ${queues.join(" and ")} after ${at} s, ${limit} allowed`];
  });
}

/** Checks that no cell was claimed after its task was cancelled. */
export function checkCancels({ submitted, taskMoves, moves }: Facts): string[] {
  return submitted.flatMap(({ id, planned, cancelled }) => {
    const cut = taskMoves.find((move) => move.id === id && move.becomes === "cancelled");
    if (!cancelled || !cut) return [];
    const late = moves.filter((move) =>
      move.task_id === id && move.was === "pending" && move.becomes === "processing" && move.at > cut.at
    );
    return late.length > 0
      ? [`task '${planned.name}': ${late.length} cells were claimed after its cancellation`]
      : [];
  });
}

const stallSecondsMax = 9;

/** Checks that no stall lasted too long. */
export function checkStalls({ stalls }: Facts): string[] {
  return stalls
    .filter(({ seconds }) => seconds > stallSecondsMax)
    .map(({ seconds }) => `no claim for ${seconds.toFixed(1)} s, with work, free slots and no fault`);
}

/** Reports whether a worker received a second SIGTERM while it was ending. It then exits at once with code 130. */
const isTerminatedTwice = ({ injected }: Facts, worker: number, at: number): boolean =>
  injected.filter(({ kind, workerIndex, from, to }) =>
    kind === "terminate" && workerIndex === worker && from <= at && at <= to + 1
  ).length > 1;

/** Checks that running workers ended only by the rig's signals. A worker may fail to start while a server is down. */
export function checkWorkers(facts: Facts): string[] {
  const requested = new Set(["SIGKILL", "0"]);
  return facts.log.flatMap(({ worker, at, text }) => {
    const ending = text.match(/^process \d+ ended: (\w+)$/)?.[1];
    if (ending === undefined || requested.has(ending)) return [];
    return ending === "130" && isTerminatedTwice(facts, worker, at)
      ? []
      : [`worker ${worker} ended with ${ending}`];
  });
}
