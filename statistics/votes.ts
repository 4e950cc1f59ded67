/** Ranks levels by votes between images of those levels. */
import {
  countConnectedGroups,
  fitBradleyTerry,
  rankSets,
  strengthInterval,
  type Vote,
} from "./bradley_terry.ts";
import type { CellVote } from "./dataset.ts";
import type { Design } from "./units.ts";

export interface LevelRank {
  votes: number;
  /** Log-odds of winning against the average level; 0 is average. */
  strength: number;
  low: number;
  high: number;
  /** Possible ranks of the level; 1 is the best. */
  ranks: { best: number; worst: number };
}

export interface VoteReport {
  /** Null for a level without votes. */
  levels: (LevelRank | null)[];
  /** Number of votes between different levels. */
  votes: number;
  /** Number of those votes that compare images of different units. */
  across: number;
  /** Number of groups of levels that no vote connects; 1 if all levels are comparable. */
  groups: number;
  /**
   * Number of units behind the intervals; 0 if they come from the likelihood, which treats votes as
   * independent.
   */
  clusters: number;
}

/** Fits the Bradley–Terry model to the votes between cells of different levels. */
export function rankLevels(
  { level, levels, unit }: Design,
  cellVotes: readonly CellVote[],
): VoteReport {
  const counted = cellVotes.filter(({ left, right }) =>
    level[left]! >= 0 && level[right]! >= 0 && level[left] !== level[right]
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
  const ranking = fitBradleyTerry(votes, voted.length);
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
    groups: countConnectedGroups(votes, voted.length),
  };
}
