/** GET /tasks/{id}/agreement: agreement of raters, and each rater's bias and inconsistency. */
import { z } from "@hono/zod-openapi";
import { findRaterNames } from "../../../db/views/stats.ts";
import type { V2App } from "../kit/context.ts";
import { defineRoute, jsonResponse, taskParams } from "../kit/route.ts";
import { addCoincidences, estimateAlpha, starsMax } from "../../../statistics/krippendorff.ts";
import { unitsMin } from "../../../statistics/mean_tests.ts";
import { estimateRaterTraits } from "../../../statistics/raters.ts";
import { combineColumns, countStars } from "../../../statistics/units.ts";
import { loadTaskDataset, type TaskDataset } from "./dataset.ts";
import type { DatasetCache } from "./dataset_cache.ts";
import { estimateOut } from "./shapes.ts";
import { respondTagged } from "../kit/etag.ts";

const agreementOut = z.object({
  task_id: z.uuid(),
  revision: z.string(),
  alpha: estimateOut.nullable().openapi({
    description:
      "Krippendorff's alpha: 1 is perfect agreement, 0 is chance. Null if no image has two raters or if all " +
      "stars are equal",
  }),
  ratings: z.int(),
  images: z.int(),
  shared_images: z.int().openapi({ description: "Images with ratings of at least two raters" }),
  units: z.int().openapi({
    description: "Content units of those images; the interval is computed over them",
  }),
  raters: z.array(z.object({
    rater_id: z.uuid(),
    rater: z.string().nullable().openapi({
      description: "E-mail address; null for a share and for a deleted user",
    }),
    n: z.int(),
    shared: z.int().openapi({ description: "Images that another rater rated too" }),
    bias: z.number().nullable().openapi({ description: "Mean deviation, in stars, from the images' means" }),
    inconsistency: z.number().nullable().openapi({
      description: "Standard deviation of what remains after removing the bias, in stars",
    }),
  })),
  warnings: z.array(z.object({ code: z.string(), text: z.string() })),
  method: z.string(),
}).openapi("Agreement");

const readAgreement = defineRoute({
  method: "get",
  path: "/tasks/{id}/agreement",
  access: "reader",
  tags: ["statistics"],
  summary: "Measure the agreement of raters, with each rater's bias and inconsistency",
  request: { params: taskParams },
  responses: { 200: jsonResponse(agreementOut, "Agreement on the current images") },
});

/** Returns the content unit of each cell; every cell is its own unit if no axis is content. */
function unitsOf({ axes, cellLevels }: TaskDataset): { of: Int32Array; count: number } {
  const content = axes.flatMap(({ role }, i) => role === "content" ? [cellLevels.levels[i]!] : []);
  return content.length > 0 ? combineColumns(content, cellLevels.cells) : {
    of: Int32Array.from({ length: cellLevels.cells }, (_, cell) => cell),
    count: cellLevels.cells,
  };
}

/** Builds the coincidence table of each unit that has an image with two raters. */
function tabulate(dataset: TaskDataset) {
  const { cellLevels: { cells }, ratings } = dataset;
  const counts = countStars(ratings, cells);
  const { of: unit } = unitsOf(dataset);
  const tableOf = new Map<number, number>();
  const shared: number[] = [];
  let images = 0;
  for (let cell = 0; cell < cells; cell++) {
    let n = 0;
    for (let i = 0; i < starsMax; i++) n += counts[cell * starsMax + i]!;
    if (n > 0) images++;
    if (n < 2 || unit[cell]! < 0) continue;
    shared.push(cell);
    if (!tableOf.has(unit[cell]!)) tableOf.set(unit[cell]!, tableOf.size);
  }
  const size = starsMax * starsMax;
  const tables = new Float64Array(tableOf.size * size);
  for (const cell of shared) {
    const start = tableOf.get(unit[cell]!)! * size;
    addCoincidences(
      counts.subarray(cell * starsMax, (cell + 1) * starsMax),
      tables.subarray(start, start + size),
    );
  }
  return { tables, images, shared: shared.length, units: tableOf.size };
}

const method =
  `Krippendorff's alpha with ordinal distances; its 95 % interval by drawing content units anew 1,000 times, with a ` +
  `fixed seed, from ${unitsMin} units on. Bias (ITU-T P.913): the mean over a rater's images of rating − mean of the ` +
  `image; inconsistency: the deviation of the rest.`;

export function addAgreement(app: V2App, { datasets }: { datasets: DatasetCache }): void {
  app.openapi(readAgreement, async (c) => {
    const { id } = c.req.valid("param");
    const dataset = await loadTaskDataset(c, datasets, id);
    const { ratings, cellLevels, revision } = dataset;
    const { raters, cell, rater, stars } = ratings;
    const { tables, images, shared, units } = tabulate(dataset);
    const names = await findRaterNames(c.var.deps.sql, raters);
    const traits = estimateRaterTraits({
      image: cell,
      rater,
      stars,
      images: cellLevels.cells,
      raters: raters.length,
    });
    const ratingCounts = new Uint32Array(raters.length);
    for (const r of rater) ratingCounts[r]!++;
    const alpha = units > 0 ? estimateAlpha(tables) ?? null : null;
    const warnings = [
      ...(shared === 0 ? [{ code: "no_shared_images", text: "no image has ratings of two raters" }] : []),
      ...(shared > 0 && alpha === null
        ? [{ code: "all_equal", text: "all stars are equal: agreement has nothing to show itself by" }]
        : []),
      ...(alpha !== null && alpha.low === null
        ? [{ code: "few_units", text: `fewer than ${unitsMin} units: a point and no interval` }]
        : []),
    ];
    return await respondTagged(c, {
      task_id: id,
      revision,
      alpha,
      ratings: stars.length,
      images,
      shared_images: shared,
      units,
      raters: raters.map((rater_id, r) => ({
        rater_id,
        rater: names.get(rater_id) ?? null,
        n: ratingCounts[r]!,
        ...traits[r]!,
      })),
      warnings,
      method,
    });
  });
}
