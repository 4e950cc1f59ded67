/** Description of the statistical method in words, for the answer. */
import { flipsExactMax, unitsMin } from "./mean_tests.ts";
import type { Design } from "./units.ts";
import type { VoteReport } from "./votes.ts";
import { counted } from "../phrases.ts";

const unitWords = {
  content: "a combination of the content axes",
  axes: "a combination of the other axes",
  repeats: "a repeat",
  nothing: "the whole task",
};

/**
 * Describes how the numbers of an answer were computed.
 *
 * @param asked requested measures
 */
export function describeMethod(
  asked: readonly string[],
  { basis }: Pick<Design, "basis">,
  votes: VoteReport | undefined,
): string {
  const sentences = [];
  if (asked.includes("mean") || asked.includes("top2")) {
    sentences.push(
      `A unit is ${
        unitWords[basis]
      }. Raters are averaged in an image, images in a unit, then units; intervals are ` +
        `Student's at 95 % over units, from ${unitsMin} units on.`,
    );
  }
  if (asked.includes("mean")) {
    sentences.push(
      "Adjusted means are least squares over this axis, the others, units and raters. Levels are compared with the " +
        "baseline by differences in shared units: Student's t, and sign flips (all of them up to " +
        `${flipsExactMax} units, drawn with a fixed seed beyond); p_holm is Holm's over the levels, q Benjamini's and ` +
        "Hochberg's over all comparisons. P(best) is a bootstrap over units with a fixed seed.",
    );
  }
  if (asked.includes("fail")) {
    sentences.push("Refusals, timeouts and failures are shares of ended cells, after Wilson.");
  }
  if (asked.includes("bt")) {
    const spread = votes === undefined || votes.clusters === 0
      ? "intervals by the likelihood's curve"
      : `intervals by the spread over ${counted(votes.clusters, "unit")}`;
    sentences.push(
      `Strengths are Bradley's and Terry's from votes on the images that are there now, ties half, with a weak prior; ` +
        `${spread}; ranks are sets that hold for all pairs at once (Holm).`,
    );
  }
  return sentences.join(" ");
}
