/** Shapes of what `GET /tasks/{id}/stats` answers. */
import { z } from "@hono/zod-openapi";
import type { Axis } from "../../../statistics/axes.ts";
import type { Interaction } from "../../../statistics/interactions.ts";
import type { LevelScore } from "../../../statistics/levels.ts";
import { adjustBenjamini, adjustHolm } from "../../../statistics/many_tests.ts";
import type { LevelOutcome } from "../../../statistics/outcomes.ts";
import type { VoteReport } from "../../../statistics/votes.ts";

export const measures = ["mean", "top2", "fail", "bt"] as const;
export type Measure = typeof measures[number];

const nullable = z.number().nullable();

export const estimateOut = z.object({ value: z.number(), low: nullable, high: nullable })
  .openapi("Estimate", { description: "95 % interval; null where there is none to be had" });

const rateOut = z.object({ n: z.int(), of: z.int(), rate: nullable, low: nullable, high: nullable })
  .openapi("Rate", { description: "A share of cells, Wilson's 95 % interval" });

export const axisOut = z.object({
  axis: z.string().openapi({ example: "v0" }),
  name: z.string(),
  type: z.string(),
  role: z.enum(["treatment", "content", "replicate"]),
}).openapi("StatsAxis");

const againstOut = z.object({
  units: z.int().openapi({ description: "Units that both levels have" }),
  difference: estimateOut,
  p: nullable.openapi({ description: "Student's t over paired differences" }),
  p_sign_flip: nullable,
  p_holm: nullable.openapi({ description: "Of «differs from the baseline», for all levels together" }),
  q: nullable.openapi({
    description: "For screening: Benjamini and Hochberg over all comparisons of the answer",
  }),
  better: z.number().openapi({ description: "P(A > B) + ½ P(A = B), B the baseline" }),
});

const levelOut = z.object({
  level: z.int().openapi({ description: "Place of the value in the variable, from 0" }),
  label: z.string(),
  n: z.object({ raters: z.int(), ratings: z.int(), images: z.int(), units: z.int() }).optional(),
  mean: estimateOut.nullable().optional(),
  adjusted: nullable.optional(),
  best: nullable.optional().openapi({ description: "P(best), by a bootstrap over units" }),
  distribution: z.array(z.number()).length(5).nullable().optional(),
  top2: estimateOut.nullable().optional().openapi({ description: "Share of ratings of 4 and 5" }),
  against: againstOut.nullable().optional(),
  fail: z.object({
    ended: z.int(),
    refused: rateOut,
    timed_out: rateOut,
    failed: rateOut,
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
    })).openapi({ description: "Combinations by q; flagged where q ≤ 0.05" }),
  }).optional(),
  method: z.string(),
}).openapi("Stats");

export const toAxis = ({ key, name, type, role }: Axis): z.infer<typeof axisOut> => ({
  axis: key,
  name,
  type,
  role,
});

/** What is known of one set of cells. */
export interface Found {
  scores?: LevelScore[];
  outcomes?: LevelOutcome[];
  votes?: VoteReport;
}

type LevelOut = z.infer<typeof levelOut>;

function scoreToJson(score: LevelScore, holm: number | null, asked: readonly Measure[]) {
  const { raters, ratings, images, units, mean, adjusted, topTwo, distribution, best, against } = score;
  const estimate = ({ value, low, high }: { value: number; low: number | null; high: number | null }) => ({
    value,
    low,
    high,
  });
  return {
    n: { raters, ratings, images, units },
    ...(asked.includes("top2") ? { top2: topTwo } : {}),
    ...(asked.includes("mean")
      ? {
        mean: mean && estimate(mean),
        adjusted,
        best,
        distribution,
        against: against && {
          units: against.n,
          difference: estimate(against),
          p: against.p,
          p_sign_flip: against.flipped,
          p_holm: holm,
          q: null,
          better: against.better,
        },
      }
      : {}),
  };
}

/** One entry a level, in the order of the axis. */
export function levelsToJson(
  axis: Axis,
  { scores, outcomes, votes }: Found,
  asked: readonly Measure[],
): LevelOut[] {
  const holm = adjustHolm((scores ?? []).map(({ against }) => against?.p));
  return axis.levels.map(({ place, label }, i) => ({
    level: place,
    label,
    ...(scores ? scoreToJson(scores[i]!, holm[i]!, asked) : {}),
    ...(outcomes ? { fail: outcomes[i]! } : {}),
    ...(votes ? { bt: votes.levels[i]! } : {}),
  }));
}

/** Writes q into all comparisons that an answer makes, over all of them. */
export function screen(levels: LevelOut[]): void {
  const compared = levels.flatMap(({ against }) => against ? [against] : []);
  adjustBenjamini(compared.map(({ p }) => p)).forEach((q, i) => compared[i]!.q = q);
}

export const interactionsToJson = (axis: Axis, by: Axis, found: readonly Interaction[]) =>
  found.toSorted((a, b) => a.q - b.q || a.p - b.p).slice(0, 200).map(({ level, by: other, ...rest }) => ({
    level: axis.levels[level]!.place,
    by: by.levels[other]!.place,
    ...rest,
  }));
