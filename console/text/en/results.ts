/** Texts of the pages Results and Compare. */
import { counted, formatNumber } from "../format.ts";

const units = (n: number) => counted(n, "unit", "units");

export const text = {
  measure: "Measure",
  measures: { mean: "Mean rating", top2: "Share ≥ 4", fail: "Failures", bt: "Votes" },
  picks: { axis: "Axis", by: "Second axis", baseline: "Baseline", order: "Order" },
  none: "none",
  inOrder: "As in the run",
  bestFirst: "Best first",
  series: {
    mean: "Mean (95 % interval)",
    top2: "Share (95 % interval)",
    refused: "Refused",
    timed_out: "Timed out",
    failed: "Failed otherwise",
    bt: "Strength (95 % interval)",
  },
  columns: { adjusted: "Adjusted", best: "P(best)", against: "Difference", stars: "1 to 5", ranks: "Rank" },
  tableOf: (axis: string, measure: string) => `${measure} by ${axis}`,
  isBaseline: "baseline",
  openSlice: "Show these images",
  showAll: (levels: number) => `Show all ${formatNumber(levels)}`,
  against: (p: string, n: number, better: string) => `${p}${units(n)}, better in ${better}`,
  n: {
    ratings: (n: { units: number; images: number; ratings: number; raters: number }) =>
      `${units(n.units)}, ${counted(n.images, "image", "images")}, ${
        counted(n.ratings, "rating", "ratings")
      }, ${counted(n.raters, "rater", "raters")}`,
    votes: (n: number) => counted(n, "vote", "votes"),
    ended: (n: number, tries: number) =>
      `${counted(n, "cell", "cells")}, ${counted(tries, "attempt", "attempts")} without an image`,
  },
  nothing: "nothing yet",
  best: (levels: string, isSet: boolean) =>
    isSet ? `Not decided. The best is most likely one of: ${levels}.` : `Best: ${levels}.`,
  fewUnits: "Too few units to tell which is best.",
  legends: {
    mean: "Bar: 95 % interval. Diamond: adjusted mean. Dashed line: baseline.",
    top2: "Bar: 95 % interval.",
    fail: "Shares of the cells that have ended. Bar: 95 % interval.",
    bt: "0 is the average level. Bar: 95 % interval. Ranks that votes cannot tell apart are a range.",
  },
  warning: (text: string, _code: string, _numbers: readonly number[]) => text,
  why: "Why this interval?",
  method: (
    text: string,
    _measure: "mean" | "top2" | "fail" | "bt",
    _basis: "content" | "axes" | "repeats" | "nothing",
    axes: string,
    n: number,
  ) =>
    `Images of one unit resemble each other, so that units are counted, not images: ${units(n)} here${
      axes === "" ? "" : ` (${axes})`
    }. ${text}`,
  empty: {
    mean: "No ratings yet",
    top2: "No ratings yet",
    bt: "No votes yet",
    fail: "No cell has ended yet",
  },
  noCells: "Nothing to compare",
  oneLevel: "This axis has one value: there is nothing to compare it with.",
  provisional: (open: number, total: number) =>
    `Provisional: ${formatNumber(open)} of ${counted(total, "cell", "cells")} are not drawn yet.`,
  blind: "This run is rated blind. Its owner alone sees what the raters say.",
  heatLegend: (least: number) => `Fields with n below ${formatNumber(least)} have no colour.`,
  heatCut: (rows: number, columns: number) => `Shown: the first ${rows} rows and ${columns} columns.`,
  interactions: (isTested: boolean, isFlagged: boolean): string =>
    isFlagged
      ? "▲▼: above or below what both axes say by themselves (interaction, q ≤ 0.05)."
      : isTested
      ? "No interaction stands out (q ≤ 0.05)."
      : "Interactions are not tested: too few units have every combination.",
  raters: {
    title: "Raters and agreement",
    one: "One rater. Agreement needs a second rater of the same images.",
    alpha: (images: number, n: number) =>
      `Krippendorff's alpha (1 perfect, 0 chance), ${counted(images, "shared image", "shared images")}, ${
        units(n)
      }`,
    unnamed: "by a link, or a deleted user",
    rater: "Rater",
    bias: "Bias",
    inconsistency: "Inconsistency",
    n: (n: string, shared: string) => `${n} ratings, ${shared} shared`,
    legend: "In stars. Bias: above or below the other raters. Inconsistency: how far ratings vary beyond it.",
  },
  compare: {
    title: "Compare two runs",
    open: "Compare with another run",
    pick: (side: string) => `Choose run ${side}`,
    change: "Choose another run",
    search: "Search by name",
    noRuns: "No other run matches.",
    run: "Run",
    mean: "Mean of shared units",
    side: (ratings: number, raters: number, alone: number) =>
      `${counted(ratings, "rating", "ratings")}, ${counted(raters, "rater", "raters")}, ${
        units(alone)
      } only here`,
    verdict: (size: string, isB: boolean) => `${isB ? "B" : "A"} is rated higher by ${size} stars`,
    undecided: "No difference is established",
    difference: "B − A (95 % interval)",
    unit: "Unit",
    all: (n: number) => `All ${units(n)}`,
    numbers: (n: { units: number; combinations: number; shared_raters: number }) =>
      `${counted(n.units, "pair", "pairs")} of units, ${
        counted(n.combinations, "shared combination", "shared combinations")
      }, ${counted(n.shared_raters, "shared rater", "shared raters")}.`,
    nothing: "These runs share nothing that is rated",
    nothingText: "Both need ratings of the same prompts or other content.",
    differs: "What else differs",
    what: "Setting",
    seeds: "Seeds",
    method: (text: string) => text,
  },
};
