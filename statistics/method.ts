/** How the numbers came about, in words. */
import { flipsExactMax, unitsMin } from "./paired.ts";
import type { Layout } from "./units.ts";
import type { VoteReport } from "./votes.ts";

const unitWords = {
  content: "a combination of the content axes",
  axes: "a combination of the other axes",
  repeats: "a repeat",
  nothing: "the whole task",
};

/** @param asked measures of the answer */
export function describeMethod(
  asked: readonly string[],
  { basis }: Pick<Layout, "basis">,
  votes: VoteReport | undefined,
): string {
  const said = [];
  if (asked.includes("mean") || asked.includes("top2")) {
    said.push(
      `A unit is ${
        unitWords[basis]
      }. Raters are averaged in an image, images in a unit, then units; intervals are ` +
        `Student's at 95 % over units, from ${unitsMin} units on.`,
    );
  }
  if (asked.includes("mean")) {
    said.push(
      "Adjusted means are least squares over this axis, the others, units and raters. Levels are compared with the " +
        "baseline by differences in shared units: Student's t, and sign flips (all of them up to " +
        `${flipsExactMax} units, drawn with a fixed seed beyond); p_holm is Holm's over the levels, q Benjamini's and ` +
        "Hochberg's over all comparisons. P(best) is a bootstrap over units with a fixed seed.",
    );
  }
  if (asked.includes("fail")) {
    said.push("Refusals, timeouts and failures are shares of ended cells, after Wilson.");
  }
  if (asked.includes("bt")) {
    const spread = votes === undefined || votes.clusters === 0
      ? "intervals by the likelihood's curve"
      : `intervals by the spread over ${votes.clusters} units`;
    said.push(
      `Strengths are Bradley's and Terry's from votes on the images that are there now, ties half, with a weak prior; ` +
        `${spread}; ranks are sets that hold for all pairs at once (Holm).`,
    );
  }
  return said.join(" ");
}
