/** Choice of the next pairs of images to compare; pure. */
import type { PairCount } from "../../../db/judging/votes.ts";
import type { LevelsOf } from "./rating_order.ts";

/** Numbers of two cells, the lower one first. */
export type Pair = [a: number, b: number];

/** Maximum number of candidate pairs. If there are more, a random sample is used. */
const pairsMax = 400;

const pick = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)]!;
const toPair = (a: number, b: number): Pair => a < b ? [a, b] : [b, a];

/** Cells with equal levels on all other axes, grouped by their level on the compared axis. */
type Group = number[][];

/** Groups cells. Without `sameContent` the levels on other axes may differ. */
function groupCells(
  cells: Iterable<number>,
  levelsOf: LevelsOf,
  axis: number,
  sameContent: boolean,
): Group[] {
  const groups = new Map<string, Map<number, number[]>>();
  for (const cell of cells) {
    const levels = levelsOf(cell);
    const level = levels[axis]!;
    if (level < 0) continue;
    const key = sameContent ? levels.with(axis, 0).join() : "";
    const group = groups.get(key) ?? new Map<number, number[]>();
    groups.set(key, group);
    const sameLevel = group.get(level);
    if (sameLevel) sameLevel.push(cell);
    else group.set(level, [cell]);
  }
  return [...groups.values()].filter(({ size }) => size > 1).map((group) => [...group.values()]);
}

const countPairs = (group: Group): number => {
  const all = group.reduce((sum, { length }) => sum + length, 0);
  return (all ** 2 - group.reduce((sum, { length }) => sum + length ** 2, 0)) / 2;
};

function listPairs(groups: Group[]): Pair[] {
  return groups.flatMap((group) =>
    group.flatMap((left, i) =>
      group.slice(i + 1).flatMap((right) => left.flatMap((a) => right.map((b) => toPair(a, b))))
    )
  );
}

function drawPairs(groups: Group[]): Pair[] {
  const drawn = new Map<string, Pair>();
  for (let tries = 0; tries < pairsMax; tries++) {
    const group = pick(groups);
    const left = pick(group);
    const pair = toPair(pick(left), pick(pick(group.filter((level) => level !== left))));
    drawn.set(pair.join(), pair);
  }
  return [...drawn.values()];
}

/**
 * Returns pairs of images that differ only on one axis or, if there are none, at least on that axis. Returns
 * a random sample if there are many.
 *
 * @param axis position of the axis among the levels
 */
export function choosePairs(cells: readonly number[], levelsOf: LevelsOf, axis: number): Pair[] {
  for (const sameContent of [true, false]) {
    const groups = groupCells(cells, levelsOf, axis, sameContent);
    if (groups.length === 0) continue;
    const count = groups.reduce((sum, group) => sum + countPairs(group), 0);
    return count <= pairsMax ? listPairs(groups) : drawPairs(groups);
  }
  return [];
}

/**
 * Orders the pairs that the rater has not judged: by the number of votes, the number of axes on which the
 * images differ, and the number of votes on their cells; ties are random.
 */
export function orderPairs(pairs: readonly Pair[], counts: readonly PairCount[], levelsOf: LevelsOf): Pair[] {
  const known = new Map(counts.map((count) => [`${count.a},${count.b}`, count]));
  const votesOnCell = new Map<number, number>();
  for (const { a, b, votes } of counts) {
    for (const cell of [a, b]) votesOnCell.set(cell, (votesOnCell.get(cell) ?? 0) + votes);
  }
  const countDifferences = ([a, b]: Pair) => {
    const other = levelsOf(b);
    return levelsOf(a).filter((level, i) => level !== other[i]).length;
  };
  return pairs.filter((pair) => !known.get(pair.join())?.mine)
    .map((pair) => ({
      pair,
      votes: known.get(pair.join())?.votes ?? 0,
      differences: countDifferences(pair),
      cellVotes: (votesOnCell.get(pair[0]) ?? 0) + (votesOnCell.get(pair[1]) ?? 0),
      tieBreak: Math.random(),
    }))
    .sort((x, y) =>
      x.votes - y.votes || x.differences - y.differences || x.cellVotes - y.cellVotes ||
      x.tieBreak - y.tieBreak
    )
    .map(({ pair }) => pair);
}
