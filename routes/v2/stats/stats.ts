/** What the levels of an axis are worth, by ratings, by votes, and by what could not be drawn. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { readFailedAttempts, readVotes } from "../../../db/views/stats.ts";
import { AppError } from "../../../errors.ts";
import type { V2App, V2Env } from "../kit/context.ts";
import { defineRoute, jsonAnswer, taskParams } from "../kit/route.ts";
import type { Axis } from "../../../statistics/axes.ts";
import { findInteractions } from "../../../statistics/interactions.ts";
import type { Factor } from "../../../statistics/least_squares.ts";
import { type Question, scoreLevels } from "../../../statistics/levels.ts";
import { describeMethod } from "../../../statistics/method.ts";
import { countOutcomes } from "../../../statistics/outcomes.ts";
import { createPause } from "../../../statistics/pause.ts";
import { type CellVote, eachPacked, unpackVotes } from "../../../statistics/sheet.ts";
import {
  combine,
  countStars,
  type Layout,
  layOut,
  meansOf,
  scoreUnits,
  splitRatings,
} from "../../../statistics/units.ts";
import { rankLevels } from "../../../statistics/votes.ts";
import {
  type Warning,
  warnOfDesign,
  warnOfOutcomes,
  warnOfScores,
  warnOfVotes,
} from "../../../statistics/warnings.ts";
import { type Found, interactionsToJson, levelsToJson, type Measure, measures } from "./shapes.ts";
import { screen, statsOut, toAxis } from "./shapes.ts";
import { loadSheet, type TaskSheet } from "./sheet.ts";
import { answerTagged } from "../kit/tag.ts";

const axisKey = z.string().regex(/^v[0-5]$/, "wanted v0 to v5");

const readStats = defineRoute({
  method: "get",
  path: "/tasks/{id}/stats",
  who: "reader",
  tags: ["statistics"],
  summary: "What each level of an axis is worth, and how sure that is",
  request: {
    params: taskParams,
    query: z.object({
      axis: axisKey,
      by: axisKey.optional().openapi({ description: "The same within each level of this axis too" }),
      measure: z.string().regex(
        /^(?:mean|top2|fail|bt)(?:,(?:mean|top2|fail|bt))*$/,
        `wanted some of ${measures}`,
      )
        .default(measures.join()).openapi({ example: "mean,fail" }),
      baseline: z.coerce.number().int().min(0).max(49_999).default(0)
        .openapi({ type: "integer", description: "Place of the value that others are compared with" }),
    }),
  },
  responses: { 200: jsonAnswer(statsOut, "Levels in the order of the axis") },
});

type Query = { axis: string; by?: string | undefined; baseline: number };

const faulty = (field: string, value: string | number, wanted: string) =>
  new AppError("invalid_request", `reading the request: faulty query.${field}`, {
    fields: [{ field: `query.${field}`, value: String(value), wanted }],
  });

function findAxis(axes: readonly Axis[], field: string, key: string): number {
  const found = axes.findIndex((axis) => axis.key === key);
  if (found < 0) {
    const known = axes.map((axis) => axis.key).join(", ");
    throw faulty(field, key, known === "" ? "an axis; this task has none" : `one of ${known}`);
  }
  return found;
}

function readQuery({ axes }: TaskSheet, { axis, by, baseline }: Query) {
  const asked = findAxis(axes, "axis", axis);
  const other = by === undefined ? undefined : findAxis(axes, "by", by);
  if (other === asked) throw faulty("by", by!, "another axis than 'axis'");
  const { levelOf } = axes[asked]!;
  if (baseline >= levelOf.length) throw faulty("baseline", baseline, `at most ${levelOf.length - 1}`);
  return { asked, other, baseline: levelOf[baseline]! };
}

/** Axes whose effects least squares take off; what units are made of is taken off with them. */
function listOthers({ axes, places, task }: TaskSheet, asked: number, { unitAxes }: Layout): Factor[] {
  const seedsCount = task.seed_policy === "shared" || task.seed_policy === "pinned";
  return axes.flatMap(({ role, type, levels }, i) =>
    i === asked || unitAxes.includes(i) || role === "replicate" && type !== "seed" && !seedsCount
      ? []
      : [{ of: places.levels[i]!, levels: levels.length }]
  );
}

interface Work {
  from: TaskSheet;
  axis: Axis;
  question: Question;
  asked: readonly Measure[];
  votes: readonly CellVote[];
  attempts: readonly { cell: number; end: number }[];
}

/** All that is asked of the cells that are chosen. */
async function judge(work: Work, chosen: Uint8Array, share = 1): Promise<Found & { warnings: Warning[] }> {
  const { from, axis, question, asked, votes, attempts } = work;
  const { layout, baseline } = question;
  const found: Found = {};
  const warnings: Warning[] = [];
  if (asked.includes("mean") || asked.includes("top2")) {
    found.scores = (await scoreLevels(question, chosen, share)).levels;
    warnings.push(...warnOfScores(axis, found.scores, baseline));
  }
  if (asked.includes("fail")) {
    found.outcomes = countOutcomes(from.sheet.states, layout, attempts, chosen);
    warnings.push(...warnOfOutcomes(found.outcomes));
  }
  if (asked.includes("bt")) {
    found.votes = rankLevels(layout, votes, chosen);
    warnings.push(...warnOfVotes(found.votes));
  }
  await question.pause();
  return { ...found, warnings };
}

/** Combinations of two axes that are not what the axes' own effects add up to. */
function screenInteractions({ layout, counts }: Question, by: Int32Array, all: Uint8Array) {
  const { of: unit, count: units } = combine([layout.unit, by], all.length);
  const unitOf = new Int32Array(units);
  const byOf = new Int32Array(units);
  unit.forEach((combined, cell) => {
    if (combined < 0) return;
    unitOf[combined] = layout.unit[cell]!;
    byOf[combined] = by[cell]!;
  });
  const scores = scoreUnits({ ...layout, unit, units }, counts, all);
  const means = meansOf(scores);
  return findInteractions(Array.from(means, (mean, i) => ({
    unit: unitOf[scores.unit[i]!]!,
    by: byOf[scores.unit[i]!]!,
    level: scores.level[i]!,
    mean,
  })));
}

async function judgeGroups(work: Work, other: number) {
  const { from: { axes, places }, axis, question, asked } = work;
  const by = axes[other]!;
  const groups = [];
  const parts = splitRatings(question.ratings, places.levels[other]!, by.levels.length);
  for (const [at, { place, label }] of by.levels.entries()) {
    const chosen = Uint8Array.from(places.levels[other]!, (level) => level === at ? 1 : 0);
    const { warnings, ...found } = await judge(
      { ...work, question: { ...question, ratings: parts[at]! } },
      chosen,
      1 / by.levels.length,
    );
    groups.push({ level: place, label, levels: levelsToJson(axis, found, asked), warnings });
  }
  const all = new Uint8Array(places.cells).fill(1);
  const interactions = asked.includes("mean") ? screenInteractions(question, places.levels[other]!, all) : [];
  return { axis: toAxis(by), groups, interactions: interactionsToJson(axis, by, interactions) };
}

async function gather(c: Context<V2Env>, id: string, query: Query, asked: readonly Measure[]) {
  const { sql } = c.var.deps;
  const needsRatings = asked.includes("mean") || asked.includes("top2");
  const from = await loadSheet(c, id, { ratings: needsRatings || asked.includes("bt") });
  const { asked: place, other, baseline } = readQuery(from, query);
  const layout = layOut(from.axes, from.places, place);
  const votes = asked.includes("bt") ? unpackVotes(await readVotes(sql, id)) : [];
  const attempts: { cell: number; end: number }[] = [];
  if (asked.includes("fail")) {
    eachPacked(await readFailedAttempts(sql, id), (cell, end) => attempts.push({ cell, end }));
  }
  const question: Question = {
    layout,
    baseline,
    others: listOthers(from, place, layout),
    ratings: from.sheet,
    raters: from.sheet.raters.length,
    counts: countStars(from.sheet, from.places.cells),
    pause: createPause(),
  };
  const inside = votes.filter(({ left, right }) => Math.max(left, right) < from.places.cells);
  const work: Work = { from, axis: from.axes[place]!, question, asked, votes: inside, attempts };
  return { work, other };
}

export function addStats(app: V2App): void {
  app.openapi(readStats, async (c) => {
    const { id } = c.req.valid("param");
    const query = c.req.valid("query");
    const asked = measures.filter((measure) => query.measure.split(",").includes(measure));
    const { work, other } = await gather(c, id, query, asked);
    const { from: { task, axes, places }, axis, question: { layout, baseline } } = work;
    const { warnings, ...found } = await judge(work, new Uint8Array(places.cells).fill(1));
    const levels = levelsToJson(axis, found, asked);
    const by = other === undefined ? undefined : await judgeGroups(work, other);
    screen([...levels, ...(by?.groups ?? []).flatMap((group) => group.levels)]);
    return await answerTagged(c, {
      task_id: id,
      revision: task.revision,
      axis: { ...toAxis(axis), role: "treatment" },
      baseline: axis.levels[baseline]!.place,
      unit: {
        basis: layout.basis,
        axes: layout.unitAxes.map((i) => axes[i]!.key),
        units: layout.units,
      },
      levels,
      ...(by ? { by } : {}),
      warnings: [...warnOfDesign(axes, layout, task.seed_policy), ...warnings],
      method: describeMethod(asked, layout, found.votes),
    }) as never;
  });
}
