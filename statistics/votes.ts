/** Votes between images as votes between the levels that they stand for. */
import { connectedGroups, rankByVotes, rankSets, strengthInterval, type Vote } from "./bradley_terry.ts";
import type { CellVote } from "./sheet.ts";
import type { Layout } from "./units.ts";

export interface LevelRank {
  votes: number;
  /** Log-odds of winning against the average level; 0 on the average. */
  strength: number;
  low: number;
  high: number;
  /** Ranks that the level may have, 1 the best. */
  ranks: { best: number; worst: number };
}

export interface VoteReport {
  /** Null for a level without votes. */
  levels: (LevelRank | null)[];
  /** Votes between different levels. */
  votes: number;
  /** Of them, those between images of different units. */
  across: number;
  /** Groups of levels that no vote connects; 1 where all can be compared. */
  groups: number;
  /** Units over which the intervals are made; 0: by the curve of the likelihood, as if each vote stood alone. */
  clusters: number;
}

/** @param chosen 1 for each cell that counts; both images of a vote must */
export function rankLevels(
  { level, levels, unit }: Layout,
  cellVotes: readonly CellVote[],
  chosen: Uint8Array,
): VoteReport {
  const counted = cellVotes.filter(({ left, right }) =>
    chosen[left] === 1 && chosen[right] === 1 && level[left]! >= 0 && level[right]! >= 0 &&
    level[left] !== level[right]
  );
  const perLevel = new Uint32Array(levels);
  for (const { left, right } of counted) {
    perLevel[level[left]!]!++;
    perLevel[level[right]!]!++;
  }
  const voted = Array.from(perLevel.keys()).filter((a) => perLevel[a]! > 0);
  const short = new Map(voted.map((a, i) => [a, i]));
  const votes = counted.map(({ left, right, score }): Vote => ({
    a: short.get(level[left]!)!,
    b: short.get(level[right]!)!,
    score,
    cluster: unit[left]!,
  }));
  const across = counted.filter(({ left, right }) => unit[left] !== unit[right]).length;
  const none: VoteReport = { levels: Array(levels).fill(null), votes: 0, across: 0, groups: 1, clusters: 0 };
  if (voted.length < 2) return none;
  const ranking = rankByVotes(votes, voted.length);
  const sets = rankSets(ranking);
  voted.forEach((a, i) => {
    none.levels[a] = {
      votes: perLevel[a]!,
      strength: ranking.strengths[i]!,
      ...strengthInterval(ranking, i),
      ranks: sets[i]!,
    };
  });
  return {
    ...none,
    votes: votes.length,
    across,
    clusters: ranking.clusters,
    groups: connectedGroups(votes, voted.length),
  };
}
