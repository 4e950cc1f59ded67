/** Warnings that accompany the statistics. */
import type { Axis } from "./axes.ts";
import { conflicts } from "./contrast.ts";
import type { LevelScore } from "./levels.ts";
import { failures, type LevelOutcome } from "./outcomes.ts";
import { unitsMin } from "./mean_tests.ts";
import { testEqualProportions } from "./proportions.ts";
import type { Design } from "./units.ts";
import type { VoteReport } from "./votes.ts";
import { counted, inflect } from "../phrases.ts";

export interface Warning {
  code: string;
  text: string;
  /** Indices of the affected values; absent if the warning concerns all of them. */
  levels?: number[];
}

const warnAboutLevels = (code: string, text: string, axis: Axis, found: number[]): Warning[] =>
  found.length === 0 ? [] : [{ code, text, levels: found.map((level) => axis.levels[level]!.index) }];

const indicesWhere = <T>(list: readonly T[], fits: (one: T) => boolean): number[] =>
  list.flatMap((one, i) => fits(one) ? [i] : []);

/** Lists warnings about ratings: too few units, conflicting orders, imbalance and inseparable effects. */
export function warnOfScores(axis: Axis, scores: readonly LevelScore[], baseline: number): Warning[] {
  const rated = scores.filter(({ images }) => images > 0);
  const ratings = rated.map((one) => one.ratings);
  const units = rated.map((one) => one.units);
  const uneven = rated.length > 1 &&
    (Math.max(...ratings) > 1.5 * Math.min(...ratings) || Math.max(...units) > Math.min(...units) ||
      new Set(rated.map(({ raters }) => raters)).size > 1);
  return [
    ...warnAboutLevels(
      "few_units",
      `fewer than ${unitsMin} units: points and no interval`,
      axis,
      indicesWhere(scores, ({ units }) => units > 0 && units < unitsMin),
    ),
    ...warnAboutLevels(
      "no_spread",
      "all units are alike: their spread tells no interval",
      axis,
      indicesWhere(scores, ({ units, mean }) => units >= unitsMin && mean !== null && mean.low === null),
    ),
    ...warnAboutLevels(
      "order_disagrees",
      "the mean says better than the baseline and the order of single ratings says worse, or the reverse",
      axis,
      indicesWhere(scores, ({ against }) => against !== null && conflicts(against)),
    ),
    ...(uneven
      ? [{
        code: "unbalanced",
        text: "levels differ in ratings, units or raters: compare adjusted means and paired differences",
      }]
      : []),
    ...warnAboutLevels(
      "not_separable",
      "other axes, units or raters cannot be told from these levels: no adjusted mean",
      axis,
      indicesWhere(scores, ({ images, adjusted }) => images > 0 && adjusted === null),
    ),
    ...(rated.length > 0 && scores[baseline]!.images === 0
      ? [{ code: "baseline_unrated", text: "no image of the baseline is rated: nothing is compared" }]
      : []),
  ];
}

const bases = {
  content: undefined,
  axes: "no content beside this axis: combinations of the other axes are the units",
  repeats: "nothing but repeats beside this axis: they are the units",
  nothing: "nothing beside this axis: there is one unit",
};

/** Lists warnings about the design: units without content, and seeds that are confounded with levels. */
export function warnOfDesign(axes: readonly Axis[], { basis }: Design, seedPolicy: string): Warning[] {
  const text = bases[basis];
  const confounded = (seedPolicy === "per_cell" || seedPolicy === "per_combination") &&
    axes.every(({ type }) => type !== "seed");
  return [
    ...(text === undefined ? [] : [{ code: "units_not_content", text }]),
    ...(confounded
      ? [{
        code: "seeds_confounded",
        text: `seeds are drawn ${
          seedPolicy.replace("_", " ")
        }: in a unit, levels differ in their seeds too; more units and repeats even that out`,
      }]
      : []),
  ];
}

const failureNames = { refused: "refusals", timed_out: "timeouts", failed: "other failures" };

/** Lists warnings about levels that are refused or time out more often than others. */
export function warnOfOutcomes(outcomes: readonly LevelOutcome[]): Warning[] {
  return failures.flatMap((failure) => {
    const p = testEqualProportions(outcomes.map((outcome) => outcome[failure]));
    return p !== undefined && p < 0.05
      ? [{
        code: `unequal_${failure}`,
        text: `${failureNames[failure]} are not equal over the levels: what was drawn is a selection`,
      }]
      : [];
  });
}

/** Lists warnings about votes: unconnected levels, votes across units, and too few units. */
export function warnOfVotes({ votes, across, groups, clusters }: VoteReport): Warning[] {
  return [
    ...(groups > 1
      ? [{
        code: "votes_unconnected",
        text: `votes leave ${counted(groups, "group")} of levels that none connects`,
      }]
      : []),
    ...(across > 0
      ? [{
        code: "votes_across_units",
        text: `${across} of ${counted(votes, "vote")} ${
          inflect(across, "is", "are")
        } between images of different units`,
      }]
      : []),
    ...(votes > 0 && clusters === 0
      ? [{
        code: "few_units_voted",
        text: `votes in fewer than ${unitsMin} units: intervals as if each vote stood alone`,
      }]
      : []),
  ];
}
