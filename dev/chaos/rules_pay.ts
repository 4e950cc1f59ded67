/** Rules over the ledger: every POST costs money. */
import type { ImagePost } from "../servers/image_api.ts";
import type { CellFact, Facts } from "./facts.ts";
import type { Move } from "./audit.ts";

function groupMoves(moves: Move[]): Map<string, Move[]> {
  return Map.groupBy(moves, ({ id }) => id);
}

export function checkAttempts({ cells, posts }: Facts): string[] {
  return cells.flatMap(({ id, key, attempt }) => {
    const count = posts.get(key)?.length ?? 0;
    return count > attempt ? [`cell ${id}: ${count} POSTs in ${attempt} attempts`] : [];
  });
}

/** When a job's id came into its row, in seconds; undefined where it never did. */
const savedAt = (own: Move[], id: string | undefined): number | undefined =>
  own.find(({ remote, remote_was }) => remote === id && remote_was !== id)?.at;

/** A saved job was given up by a failure that was written, by a replay, or by nothing. */
const wasGivenUp = (own: Move[], from: number, to: number): boolean =>
  own.some(({ at, remote_was, remote }) => at >= from && at <= to && remote_was !== null && remote === null);

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
      if (nextAt < saved || wasGivenUp(own, saved, nextAt)) return [];
      return [`cell ${id}: job ${post.id} was saved, and yet there was another POST`];
    });
  });
}

/** Jobs that were paid for and whose id never came into the row. */
function unsavedJobs(cell: CellFact, own: Move[], all: ImagePost[]): ImagePost[] {
  return all.filter((post) => {
    if (post.id === undefined || savedAt(own, post.id) !== undefined) return false;
    // Cancelled meanwhile: its job is nobody's any more.
    if (cell.status === "cancelled") return false;
    const at = post.at.getTime() / 1000;
    // An attempt that ended in a failure of which the row tells was ended, not taken over.
    const later = own.filter((move) => move.at >= at - 0.05);
    const first = later.find(({ failures, failures_was, was, becomes }) =>
      failures > failures_was || (was === "processing" && becomes === "pending")
    );
    return !(first !== undefined && first.failures > first.failures_was);
  });
}

const counted = /"maybe_paid_twice":(\d+)/;

/** By process: the metric of the living, and what those that ended had said aloud. */
function sumCounted({ log, calm }: Facts): number {
  const told = new Map(calm.doubles);
  for (const [pid, lines] of Map.groupBy(log, (line) => line.pid)) {
    const said = lines.reduce((sum, { text }) => sum + Number(text.match(counted)?.[1] ?? 0), 0);
    told.set(pid, Math.max(said, told.get(pid) ?? 0));
  }
  return [...told.values()].reduce((sum, count) => sum + count, 0);
}

/** The one window that cannot be closed: it must be counted where it happens. */
export function checkDoubles(facts: Facts): string[] {
  const { cells, posts, moves } = facts;
  const byCell = groupMoves(moves);
  const unsaved = cells.flatMap((cell) =>
    unsavedJobs(cell, byCell.get(cell.id) ?? [], posts.get(cell.key) ?? [])
  );
  const told = sumCounted(facts);
  return unsaved.length > told
    ? [`${unsaved.length} jobs were paid for and never saved (${unsaved[0]!.id}, …), ${told} were counted`]
    : [];
}

export function checkImages({ cells, posts }: Facts): string[] {
  return cells.flatMap(({ id, key, image_url }) => {
    if (image_url === null) return [];
    const job = image_url.match(/([^/]+)\.png$/)?.[1];
    return posts.get(key)?.some((post) => post.id === job)
      ? []
      : [`cell ${id} shows another cell's ${image_url}`];
  });
}
