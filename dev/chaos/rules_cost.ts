/** Rules about POSTs to the image API. Every POST costs money. */
import type { ImagePost } from "../servers/image_api.ts";
import type { CellFact, Facts } from "./facts.ts";
import type { Move } from "./audit.ts";

function groupMoves(moves: Move[]): Map<string, Move[]> {
  return Map.groupBy(moves, ({ id }) => id);
}

/** Checks that no cell has more POSTs than attempts. */
export function checkAttempts({ cells, posts }: Facts): string[] {
  return cells.flatMap(({ id, key, attempt }) => {
    const count = posts.get(key)?.length ?? 0;
    return count > attempt ? [`cell ${id}: ${count} POSTs in ${attempt} attempts`] : [];
  });
}

/** Returns the time at which a job's id was saved, in seconds, or undefined if it never was. */
const savedAt = (own: Move[], id: string | undefined): number | undefined =>
  own.find(({ remote, remote_was }) => remote === id && remote_was !== id)?.at;

/** Reports whether the remote id was cleared in a period, by a recorded failure or by a reopened task. */
const wasCleared = (own: Move[], from: number, to: number): boolean =>
  own.some(({ at, remote_was, remote }) => at >= from && at <= to && remote_was !== null && remote === null);

/** Checks that no POST follows a saved job unless its id was cleared before. */
export function checkSavedJobs({ cells, posts, moves }: Facts): string[] {
  const byCell = groupMoves(moves);
  return cells.flatMap(({ id, key }) => {
    const own = byCell.get(id) ?? [];
    const all = posts.get(key) ?? [];
    return all.flatMap((post, i) => {
      const next = all[i + 1];
      const saved = savedAt(own, post.id);
      if (post.id === undefined || saved === undefined || !next) return [];
      const nextAt = next.at.getTime() / 1000;
      if (nextAt < saved || wasCleared(own, saved, nextAt)) return [];
      return [`cell ${id}: job ${post.id} was saved, but another POST followed`];
    });
  });
}

/** Lists jobs that were paid for and whose id was never saved in the row. */
function listUnsavedJobs(cell: CellFact, own: Move[], all: ImagePost[]): ImagePost[] {
  return all.filter((post) => {
    if (post.id === undefined || savedAt(own, post.id) !== undefined) return false;
    // The cell was cancelled in the meantime, so nothing follows its job.
    if (cell.status === "cancelled") return false;
    const at = post.at.getTime() / 1000;
    // If the row records a failure first, the attempt ended; no other worker repeated it.
    const later = own.filter((move) => move.at >= at - 0.05);
    const first = later.find(({ failures, failures_was, was, becomes }) =>
      failures > failures_was || (was === "processing" && becomes === "pending")
    );
    return !(first !== undefined && first.failures > first.failures_was);
  });
}

const counted = /"maybe_paid_twice":(\d+)/;

/** Sums the counts of all processes: the metric of running ones and the log lines of ended ones. */
function sumCounted({ log, idle }: Facts): number {
  const counts = new Map(idle.possibleDuplicates);
  for (const [pid, lines] of Map.groupBy(log, (line) => line.pid)) {
    const logged = lines.reduce((sum, { text }) => sum + Number(text.match(counted)?.[1] ?? 0), 0);
    counts.set(pid, Math.max(logged, counts.get(pid) ?? 0));
  }
  return [...counts.values()].reduce((sum, count) => sum + count, 0);
}

/** Checks that every unsaved job is counted: a POST can be lost before its id is saved. */
export function checkDoubles(facts: Facts): string[] {
  const { cells, posts, moves } = facts;
  const byCell = groupMoves(moves);
  const unsaved = cells.flatMap((cell) =>
    listUnsavedJobs(cell, byCell.get(cell.id) ?? [], posts.get(cell.key) ?? [])
  );
  const reported = sumCounted(facts);
  return unsaved.length > reported
    ? [
      `${unsaved.length} jobs were paid for and never saved (${unsaved[0]!.id}, …), ${reported} were counted`,
    ]
    : [];
}

/** Checks that every image comes from a job of its own cell. */
export function checkImages({ cells, posts }: Facts): string[] {
  return cells.flatMap(({ id, key, image_url }) => {
    if (image_url === null) return [];
    const job = image_url.match(/([^/]+)\.png$/)?.[1];
    return posts.get(key)?.some((post) => post.id === job)
      ? []
      : [`cell ${id} shows another cell's image ${image_url}`];
  });
}
