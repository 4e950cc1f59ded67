/** Which two images are compared next: pure. */
import type { PairCount } from "../../../db/judging/votes.ts";
import type { LevelsOf } from "./rating_order.ts";

/** Two cells, the lower place first. */
export type Pair = [a: number, b: number];

/** Pairs that are looked at for a choice; where there are no more, all of them. */
const pairsMax = 400;

const pick = <T>(items: readonly T[]): T => items[Math.floor(Math.random() * items.length)]!;
const toPair = (a: number, b: number): Pair => a < b ? [a, b] : [b, a];

/** Cells of one content, by their level on the axis that is compared. */
type Group = number[][];

function groupCells(cells: Iterable<number>, levelsOf: LevelsOf, axis: number, byContent: boolean): Group[] {
  const groups = new Map<string, Map<number, number[]>>();
  for (const cell of cells) {
    const levels = levelsOf(cell);
    const level = levels[axis]!;
    if (level < 0) continue;
    const key = byContent ? levels.with(axis, 0).join() : "";
    const group = groups.get(key) ?? new Map<number, number[]>();
    groups.set(key, group);
    const same = group.get(level);
    if (same) same.push(cell);
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
 * Pairs whose images differ on one axis, and on no other where there are such; a sample where there are many.
 *
 * @param axis its place among the levels
 */
export function choosePairs(cells: readonly number[], levelsOf: LevelsOf, axis: number): Pair[] {
  for (const byContent of [true, false]) {
    const groups = groupCells(cells, levelsOf, axis, byContent);
    if (groups.length === 0) continue;
    const count = groups.reduce((sum, group) => sum + countPairs(group), 0);
    return count <= pairsMax ? listPairs(groups) : drawPairs(groups);
  }
  return [];
}

/** The pairs that the rater has not judged, those with the fewest votes first; then those that differ least; then by lot. */
export function orderPairs(pairs: readonly Pair[], counts: readonly PairCount[], levelsOf: LevelsOf): Pair[] {
  const known = new Map(counts.map((count) => [`${count.a},${count.b}`, count]));
  const seen = new Map<number, number>();
  for (const { a, b, votes } of counts) {
    for (const cell of [a, b]) seen.set(cell, (seen.get(cell) ?? 0) + votes);
  }
  const apart = ([a, b]: Pair) => {
    const other = levelsOf(b);
    return levelsOf(a).filter((level, i) => level !== other[i]).length;
  };
  return pairs.filter((pair) => !known.get(pair.join())?.mine)
    .map((pair) => ({
      pair,
      votes: known.get(pair.join())?.votes ?? 0,
      apart: apart(pair),
      seen: (seen.get(pair[0]) ?? 0) + (seen.get(pair[1]) ?? 0),
      lot: Math.random(),
    }))
    .sort((x, y) => x.votes - y.votes || x.apart - y.apart || x.seen - y.seen || x.lot - y.lot)
    .map(({ pair }) => pair);
}
