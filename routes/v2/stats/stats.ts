/** GET /tasks/{id}/stats: scores of an axis' levels, by ratings, by votes and by failures. */
import { z } from "@hono/zod-openapi";
import { findTaskVersion } from "../../../db/queue/revisions.ts";
import { readFailedAttempts } from "../../../db/views/stats.ts";
import { invalidField } from "../kit/faults.ts";
import type { V2App } from "../kit/context.ts";
import { integerQuery } from "../kit/query.ts";
import { defineRoute, jsonResponse, taskParams } from "../kit/route.ts";
import { wantedAxis, wantedIndex, wantedOtherAxis } from "../tasks/axis_faults.ts";
import { levelIndexMax } from "../tasks/task_access.ts";
import type { Axis } from "../../../statistics/axes.ts";
import { findInteractions } from "../../../statistics/interactions.ts";
import type { Factor } from "../../../statistics/least_squares.ts";
import { type Analysis, scoreLevels } from "../../../statistics/levels.ts";
import { describeMethod } from "../../../statistics/method.ts";
import { countOutcomes, type FailedAttempt } from "../../../statistics/outcomes.ts";
import { createPause } from "../../../statistics/pause.ts";
import { type CellVote, forEachPacked } from "../../../statistics/dataset.ts";
import {
  averageByUnit,
  combineColumns,
  countStars,
  createDesign,
  type Design,
  listCells,
  meansOf,
  splitCells,
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
import { interactionsToJson, type LevelResults, levelsToJson, type Measure, measures } from "./shapes.ts";
import { setQValues, statsOut, toAxis } from "./shapes.ts";
import { AnswerCache } from "./answer_cache.ts";
import { checkDataset, type DatasetSource, readTaskDataset, type TaskDataset } from "./dataset.ts";
import type { DatasetCache } from "./dataset_cache.ts";
import { etagOf, respondJsonTagged } from "../kit/etag.ts";

const axisKey = z.string().regex(/^v[0-5]$/, "v0 to v5");

const readStats = defineRoute({
  method: "get",
  path: "/tasks/{id}/stats",
  access: "reader",
  tags: ["statistics"],
  summary: "Compare the levels of an axis, with intervals",
  request: {
    params: taskParams,
    query: z.object({
      axis: axisKey.openapi({ description: "Axis of the task whose values are compared" }),
      by: axisKey.optional().openapi({
        description:
          "Repeat the analysis within each level of this axis of the task, which is another one than `axis`",
      }),
      measure: z.string().regex(
        /^(?:mean|top2|fail|bt)(?:,(?:mean|top2|fail|bt))*$/,
        `some of ${measures.join(", ")} by commas`,
      )
        .default(measures.join()).openapi({ example: "mean,fail" }),
      baseline: integerQuery("baseline", {
        min: 0,
        max: levelIndexMax,
        absent: 0,
        description: "Index of the value of `axis` with which the others are compared",
      }),
    }),
  },
  responses: { 200: jsonResponse(statsOut, "Levels in the order of the axis") },
});

type Query = { axis: string; by?: string | undefined; baseline: number };

function findAxis(axes: readonly Axis[], field: string, key: string): number {
  const found = axes.findIndex((axis) => axis.key === key);
  if (found < 0) {
    throw invalidField(`query.${field}`, key, wantedAxis(axes.map((axis) => axis.key)));
  }
  return found;
}

/** Resolves the query to positions of axes and the level of the baseline. @throws AppError invalid_request */
function resolveQuery({ axes }: TaskDataset, { axis, by, baseline }: Query) {
  const analysed = findAxis(axes, "axis", axis);
  const other = by === undefined ? undefined : findAxis(axes, "by", by);
  if (other === analysed) {
    throw invalidField("query.by", by, wantedOtherAxis(axes.map(({ key }) => key), axis));
  }
  const { levelOf } = axes[analysed]!;
  if (baseline >= levelOf.length) {
    throw invalidField("query.baseline", String(baseline), wantedIndex(levelOf.length));
  }
  return { analysed, other, baseline: levelOf[baseline]! };
}

/** Lists the axes whose effects the model removes besides those of the units. */
function listOtherFactors(
  { axes, cellLevels, task }: TaskDataset,
  analysed: number,
  { unitAxes }: Design,
): Factor[] {
  const hasComparableSeeds = task.seed_policy === "shared" || task.seed_policy === "pinned";
  return axes.flatMap(({ role, type, levels }, i) =>
    i === analysed || unitAxes.includes(i) || role === "replicate" && type !== "seed" && !hasComparableSeeds
      ? []
      : [{ of: cellLevels.levels[i]!, levels: levels.length }]
  );
}

/** Input of one answer, or of one group of its cells. */
interface StatsJob {
  dataset: TaskDataset;
  axis: Axis;
  analysis: Analysis;
  requested: readonly Measure[];
  /** Votes between the analysed cells. */
  votes: readonly CellVote[];
  /** Attempts of the analysed cells. */
  attempts: readonly FailedAttempt[];
}

/** Computes the requested measures of the analysed cells. */
async function analyse(job: StatsJob, share = 1): Promise<LevelResults & { warnings: Warning[] }> {
  const { dataset, axis, analysis, requested, votes, attempts } = job;
  const { design, baseline } = analysis;
  const found: LevelResults = {};
  const warnings: Warning[] = [];
  if (requested.includes("mean") || requested.includes("top2")) {
    found.scores = (await scoreLevels(analysis, share)).levels;
    warnings.push(...warnOfScores(axis, found.scores, baseline));
  }
  if (requested.includes("fail")) {
    found.outcomes = countOutcomes(dataset.ratings.states, design, attempts, analysis.cells);
    warnings.push(...warnOfOutcomes(found.outcomes));
  }
  if (requested.includes("bt")) {
    found.votes = rankLevels(design, votes);
    warnings.push(...warnOfVotes(found.votes));
  }
  await analysis.pause();
  return { ...found, warnings };
}

/** Screens the combinations of two axes for interactions. */
function screenInteractions({ design, starCounts, cells }: Analysis, by: Int32Array) {
  const { of: unit, count: units } = combineColumns([design.unit, by], by.length);
  const unitOf = new Int32Array(units);
  const byOf = new Int32Array(units);
  unit.forEach((combined, cell) => {
    if (combined < 0) return;
    unitOf[combined] = design.unit[cell]!;
    byOf[combined] = by[cell]!;
  });
  const scores = averageByUnit({ ...design, unit, units }, starCounts, cells);
  const means = meansOf(scores);
  return findInteractions(Array.from(means, (mean, i) => ({
    unit: unitOf[scores.unit[i]!]!,
    by: byOf[scores.unit[i]!]!,
    level: scores.level[i]!,
    mean,
  })));
}

/** Divides the input by the group of each cell. A vote belongs to a group if both of its cells do. */
function splitJob(job: StatsJob, group: Int32Array, groups: number): StatsJob[] {
  const cells = splitCells(group, groups);
  const ratings = splitRatings(job.analysis.ratings, group, groups);
  const votes = Map.groupBy(
    job.votes.filter(({ left, right }) => group[left] === group[right]),
    ({ left }) => group[left]!,
  );
  const attempts = Map.groupBy(job.attempts, ({ cell }) => group[cell]!);
  return cells.map((part, at): StatsJob => ({
    ...job,
    analysis: { ...job.analysis, cells: part, ratings: ratings[at]! },
    votes: votes.get(at) ?? [],
    attempts: attempts.get(at) ?? [],
  }));
}

/** Repeats the analysis within each level of another axis and screens for interactions. */
async function analyseGroups(job: StatsJob, other: number) {
  const { dataset: { axes, cellLevels }, axis, analysis, requested } = job;
  const { baseline } = analysis;
  const by = axes[other]!;
  const groups = [];
  const group = cellLevels.levels[other]!;
  const parts = splitJob(job, group, by.levels.length);
  for (const [position, { index, label }] of by.levels.entries()) {
    const { warnings, ...found } = await analyse(parts[position]!, 1 / by.levels.length);
    groups.push({
      level: index,
      label,
      levels: levelsToJson(axis, found, { requested, baseline }),
      warnings,
    });
  }
  const interactions = requested.includes("mean") ? screenInteractions(analysis, group) : [];
  return { axis: toAxis(by), groups, interactions: interactionsToJson(axis, by, interactions) };
}

/** Reads everything that an answer needs. */
async function prepare(source: DatasetSource, id: string, query: Query, requested: readonly Measure[]) {
  const needsRatings = requested.includes("mean") || requested.includes("top2");
  const { sql, datasets } = source;
  const [dataset, packedAttempts] = await Promise.all([
    readTaskDataset(source, id, { ratings: needsRatings || requested.includes("bt") }),
    requested.includes("fail") ? readFailedAttempts(sql, id) : new Uint8Array(),
  ]);
  const { analysed, other, baseline } = resolveQuery(dataset, query);
  const design = createDesign(dataset.axes, dataset.cellLevels, analysed);
  const votes = requested.includes("bt") ? await datasets.readVotes(sql, id, dataset.snapshot) : [];
  const attempts: FailedAttempt[] = [];
  forEachPacked(packedAttempts, (cell, end) => attempts.push({ cell, end }));
  const analysis: Analysis = {
    design,
    baseline,
    others: listOtherFactors(dataset, analysed, design),
    cells: listCells(dataset.cellLevels.cells),
    ratings: dataset.ratings,
    raters: dataset.ratings.raters.length,
    starCounts: countStars(dataset.ratings, dataset.cellLevels.cells),
    pause: createPause(),
  };
  const validVotes = votes.filter(({ left, right }) => Math.max(left, right) < dataset.cellLevels.cells);
  const job: StatsJob = {
    dataset,
    axis: dataset.axes[analysed]!,
    analysis,
    requested,
    votes: validVotes,
    attempts,
  };
  return { job, other };
}

/** Computes an answer. */
async function compute(source: DatasetSource, id: string, query: Query, requested: readonly Measure[]) {
  const { job, other } = await prepare(source, id, query, requested);
  const { dataset: { task, axes, revision }, axis, analysis: { design, baseline } } = job;
  const { warnings, ...found } = await analyse(job);
  const levels = levelsToJson(axis, found, { requested, baseline });
  const by = other === undefined ? undefined : await analyseGroups(job, other);
  setQValues([...levels, ...(by?.groups ?? []).flatMap((group) => group.levels)]);
  return {
    task_id: id,
    revision,
    axis: { ...toAxis(axis), role: "treatment" as const },
    baseline: axis.levels[baseline]!.index,
    unit: {
      basis: design.basis,
      axes: design.unitAxes.map((i) => axes[i]!.key),
      units: design.units,
    },
    levels,
    ...(by ? { by } : {}),
    warnings: [...warnOfDesign(axes, design, task.seed_policy), ...warnings],
    method: describeMethod(requested, design, found.votes),
  };
}

export function addStats(app: V2App, { datasets }: { datasets: DatasetCache }): void {
  const cache = new AnswerCache();
  app.openapi(readStats, async (c) => {
    const { id } = c.req.valid("param");
    const query = c.req.valid("query");
    const requested = measures.filter((measure) => query.measure.split(",").includes(measure));
    const needsStars = requested.some((measure) => measure !== "fail");
    const key = JSON.stringify([id, query.axis, query.by, query.baseline, requested]);
    const [version] = await Promise.all([
      findTaskVersion(c.var.deps.sql, id),
      checkDataset(c, id, { ratings: needsStars }),
    ]);
    const text = await cache.get(
      key,
      version ?? "",
      async () => JSON.stringify(await compute({ sql: c.var.deps.sql, datasets }, id, query, requested)),
    );
    return respondJsonTagged<Awaited<ReturnType<typeof compute>>>(c, text, await etagOf(text));
  });
}
