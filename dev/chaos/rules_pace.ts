/** Rules over time: limits, cancellations, and work that must go on. */
import type { SlotsMove } from "./audit.ts";
import type { Facts } from "./facts.ts";

interface Step {
  at: number;
  by: number;
}

/** The most that was under way at once, and when. */
function findPeak(steps: Step[]): { most: number; at: number } {
  // What ends makes room before what begins at the same moment.
  steps.sort((a, b) => a.at - b.at || a.by - b.by);
  let now = 0;
  let peak = { most: 0, at: 0 };
  for (const { at, by } of steps) {
    now += by;
    if (now > peak.most) peak = { most: now, at };
  }
  return peak;
}

/** A stretch under one lease. */
interface Held {
  queue: string;
  from: number;
  to: number;
}

/** When workers said that they let go of a cell: by task and cell, and by process. */
function listLetGo({ log }: Facts): Map<string, { at: number; pid: number }[]> {
  const said = log.filter(({ text }) => text.includes('"outcome":"lost"')).map(({ at, pid, text }) => {
    const { task_id, cell } = JSON.parse(text) as { task_id: string; cell: number };
    return { key: `${task_id} ${cell}`, at, pid };
  });
  return Map.groupBy(said, ({ key }) => key);
}

/**
 * Leases under which a job was made or followed. A claim that was carried out without its worker's knowing holds a
 * lease, but runs nothing; nor does one of which its worker has let go, for it could not be sure of it any more.
 */
function listHeld(facts: Facts): Held[] {
  const { moves, cells, posts } = facts;
  const keys = new Map(cells.map(({ id, key }) => [id, key]));
  const places = new Map(cells.map(({ id, task_id, cell }) => [id, `${task_id} ${cell}`]));
  const letGo = listLetGo(facts);
  const open = new Map<string, Held & { worked: boolean }>();
  const held: Held[] = [];
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
    const left = letGo.get(places.get(id)!)?.find((said) =>
      said.at >= lease.from && said.at <= at && worker_was?.includes(`-${said.pid}-`)
    );
    if (lease.worked || posted) held.push({ ...lease, to: left?.at ?? at });
    open.delete(id);
  }
  return held;
}

/** The most that any of these queues ever had together: `high` borrows from `standard`. */
function findLimit(slotsMoves: SlotsMove[], queues: string[]): number {
  const slots = new Map<string, number>();
  let most = 0;
  for (const move of slotsMoves) {
    slots.set(move.queue, move.slots);
    most = Math.max(most, queues.reduce((sum, queue) => sum + (slots.get(queue) ?? 0), 0));
  }
  return most;
}

export function checkLimits(facts: Facts): string[] {
  const held = listHeld(facts);
  return [["high"], ["standard"], ["high", "standard"]].flatMap((queues) => {
    const limit = findLimit(facts.slotsMoves, queues);
    const steps = held.filter(({ queue }) => queues.includes(queue)).flatMap(({ from, to }): Step[] => [
      { at: from, by: 1 },
      { at: to, by: -1 },
    ]);
    const peak = findPeak(steps);
    if (peak.most <= limit) return [];
    const at = (peak.at - facts.moves[0]!.at).toFixed(2);
    return [`${peak.most} of ${queues.join(" and ")} under way at once (${at} s), ${limit} allowed`];
  });
}

export function checkCancels({ submitted, taskMoves, moves }: Facts): string[] {
  return submitted.flatMap(({ id, order, cancelled }) => {
    const cut = taskMoves.find((move) => move.id === id && move.becomes === "cancelled");
    if (!cancelled || !cut) return [];
    const late = moves.filter((move) =>
      move.task_id === id && move.was === "pending" && move.becomes === "processing" && move.at > cut.at
    );
    return late.length > 0
      ? [`task '${order.name}': ${late.length} cells moved on after its cancellation`]
      : [];
  });
}

const stallSecondsMax = 9;

export function checkStalls({ stalls }: Facts): string[] {
  return stalls
    .filter(({ seconds }) => seconds > stallSecondsMax)
    .map(({ seconds }) => `nothing was begun for ${seconds.toFixed(1)} s, with work, room and no fault`);
}

/** Told to end a second time while it was ending: then it ends at once, and says so by its exit code. */
const toldTwice = ({ struck }: Facts, worker: number, at: number): boolean =>
  struck.filter(({ kind, place, from, to }) =>
    kind === "terminate" && place === worker && from <= at && at <= to + 1
  ).length > 1;

/** A worker may fail to start where a server is down or slow; one that runs ends by our signals only. */
export function checkWorkers(facts: Facts): string[] {
  const told = new Set(["SIGKILL", "0"]);
  return facts.log.flatMap(({ worker, at, text }) => {
    const ending = text.match(/^process \d+ ended: (\w+)$/)?.[1];
    if (ending === undefined || told.has(ending)) return [];
    return ending === "130" && toldTwice(facts, worker, at) ? [] : [`worker ${worker} ended with ${ending}`];
  });
}
