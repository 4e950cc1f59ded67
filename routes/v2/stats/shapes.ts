/** Response schemas of `GET /tasks/{id}/stats`, and the conversion of results to them. */
import { z } from "@hono/zod-openapi";
import { estimateImagesToDecide } from "../../../statistics/budget.ts";
import type { Axis } from "../../../statistics/axes.ts";
import type { Interaction } from "../../../statistics/interactions.ts";
import type { LevelScore } from "../../../statistics/levels.ts";
import { adjustBenjaminiHochberg, adjustHolm } from "../../../statistics/multiple_testing.ts";
import type { LevelOutcome } from "../../../statistics/outcomes.ts";
import type { VoteReport } from "../../../statistics/votes.ts";

export const measures = ["mean", "top2", "fail", "bt"] as const;
export type Measure = typeof measures[number];

const nullable = z.number().nullable();

export const estimateOut = z.object({ value: z.number(), low: nullable, high: nullable })
  .openapi("Estimate", {
    description: "Estimate with a 95 % interval; its bounds are null if it cannot be computed",
  });

const proportionOut = z.object({ n: z.int(), of: z.int(), rate: nullable, low: nullable, high: nullable })
  .openapi("Proportion", { description: "Share of cells with Wilson's 95 % interval" });

export const axisOut = z.object({
  axis: z.string().openapi({ example: "v0" }),
  name: z.string(),
  type: z.string(),
  role: z.enum(["treatment", "content", "replicate"]),
}).openapi("StatsAxis");

const contrastOut = z.object({
  units: z.int().openapi({ description: "Units that have both levels" }),
  difference: estimateOut,
  p: nullable.openapi({ description: "p-value of Student's t test of paired differences" }),
  p_sign_flip: nullable,
  p_holm: nullable.openapi({
    description: "p, corrected for the comparisons of all levels with the baseline (Holm)",
  }),
  q: nullable.openapi({
    description: "For screening: q-value (Benjamini and Hochberg) over all comparisons of the answer",
  }),
  better: z.number().openapi({
    description: "Probability of superiority P(A > B) + ½ P(A = B), where B is the baseline",
  }),
  images_to_decide: z.int().nullable().openapi({
    description:
      "About how many further rated images of both levels would make the interval exclude 0, if the " +
      "difference and the spread stay as they are; null if it does so already, or if nothing can be said",
  }),
});

const levelOut = z.object({
  level: z.int().openapi({ description: "Index of the value in the variable, from 0" }),
  label: z.string(),
  n: z.object({ raters: z.int(), ratings: z.int(), images: z.int(), units: z.int() }).optional(),
  mean: estimateOut.nullable().optional(),
  adjusted: nullable.optional(),
  best: nullable.optional().openapi({
    description: "Probability of being the best level, by a bootstrap over units",
  }),
  distribution: z.array(z.number()).length(5).nullable().optional(),
  top2: estimateOut.nullable().optional().openapi({ description: "Share of ratings of 4 and 5" }),
  against: contrastOut.nullable().optional(),
  fail: z.object({
    ended: z.int(),
    refused: proportionOut,
    timed_out: proportionOut,
    failed: proportionOut,
    attempts: z.object({ refused: z.int(), timed_out: z.int(), failed: z.int() }),
  }).optional(),
  bt: z.object({
    votes: z.int(),
    strength: z.number(),
    low: z.number(),
    high: z.number(),
    ranks: z.object({ best: z.int(), worst: z.int() }),
  }).nullable().optional(),
}).openapi("LevelStats");

const warningOut = z.object({
  code: z.string().openapi({ example: "few_units" }),
  text: z.string(),
  levels: z.array(z.int()).optional(),
}).openapi("StatsWarning");

const groupOut = z.object({ levels: z.array(levelOut), warnings: z.array(warningOut) });

export const statsOut = groupOut.extend({
  task_id: z.uuid(),
  revision: z.string(),
  axis: axisOut,
  baseline: z.int(),
  unit: z.object({
    basis: z.enum(["content", "axes", "repeats", "nothing"]),
    axes: z.array(z.string()),
    units: z.int(),
  }),
  by: z.object({
    axis: axisOut,
    groups: z.array(groupOut.extend({ level: z.int(), label: z.string() })),
    interactions: z.array(z.object({
      level: z.int(),
      by: z.int(),
      excess: z.number(),
      p: z.number(),
      q: z.number(),
    })).openapi({ description: "Combinations ordered by q; those with q ≤ 0.05 are significant" }),
  }).optional(),
  method: z.string(),
}).openapi("Stats");

export const toAxis = ({ key, name, type, role }: Axis): z.infer<typeof axisOut> => ({
  axis: key,
  name,
  type,
  role,
});

/** Results for one set of cells. */
export interface LevelResults {
  scores?: LevelScore[];
  outcomes?: LevelOutcome[];
  votes?: VoteReport;
}

type LevelOut = z.infer<typeof levelOut>;

function scoreToJson(
  score: LevelScore,
  { holm, baselineImages }: { holm: number | null; baselineImages: number },
  requested: readonly Measure[],
) {
  const { raters, ratings, images, units, mean, adjusted, topTwo, distribution, best, against } = score;
  const estimate = ({ value, low, high }: { value: number; low: number | null; high: number | null }) => ({
    value,
    low,
    high,
  });
  return {
    n: { raters, ratings, images, units },
    ...(requested.includes("top2") ? { top2: topTwo } : {}),
    ...(requested.includes("mean")
      ? {
        mean: mean && estimate(mean),
        adjusted,
        best,
        distribution,
        against: against && {
          units: against.n,
          difference: estimate(against),
          p: against.p,
          p_sign_flip: against.signFlipP,
          p_holm: holm,
          q: null,
          better: against.superiority,
          images_to_decide: estimateImagesToDecide(against, images + baselineImages),
        },
      }
      : {}),
  };
}

/** Returns one entry per level, in the order of the axis. @param baseline position of the baseline on the axis */
export function levelsToJson(
  axis: Axis,
  { scores, outcomes, votes }: LevelResults,
  { requested, baseline }: { requested: readonly Measure[]; baseline: number },
): LevelOut[] {
  const baselineImages = scores?.[baseline]?.images ?? 0;
  const holm = adjustHolm((scores ?? []).map(({ against }) => against?.p));
  return axis.levels.map(({ index, label }, i) => ({
    level: index,
    label,
    ...(scores ? scoreToJson(scores[i]!, { holm: holm[i]!, baselineImages }, requested) : {}),
    ...(outcomes ? { fail: outcomes[i]! } : {}),
    ...(votes ? { bt: votes.levels[i]! } : {}),
  }));
}

/** Writes q-values, computed over all comparisons of an answer, into these comparisons. */
export function setQValues(levels: LevelOut[]): void {
  const compared = levels.flatMap(({ against }) => against ? [against] : []);
  adjustBenjaminiHochberg(compared.map(({ p }) => p)).forEach((q, i) => compared[i]!.q = q);
}

/** Returns the 200 most significant interactions, by q. */
export const interactionsToJson = (axis: Axis, by: Axis, interactions: readonly Interaction[]) =>
  interactions.toSorted((a, b) => a.q - b.q || a.p - b.p).slice(0, 200).map((
    { level, by: other, ...rest },
  ) => ({
    level: axis.levels[level]!.index,
    by: by.levels[other]!.index,
    ...rest,
  }));
