/** How far the raters of a task agree, and how each differs from the others. */
import { z } from "@hono/zod-openapi";
import { findRaterNames } from "../../../db/views/stats.ts";
import type { V2App } from "../kit/context.ts";
import { defineRoute, jsonAnswer, taskParams } from "../kit/route.ts";
import { addCoincidences, estimateAlpha, starsMax } from "../../../statistics/krippendorff.ts";
import { unitsMin } from "../../../statistics/paired.ts";
import { judgeRaters } from "../../../statistics/raters.ts";
import { combine, countStars } from "../../../statistics/units.ts";
import { loadSheet, type TaskSheet } from "./sheet.ts";
import { estimateOut } from "./shapes.ts";
import { answerTagged } from "../kit/tag.ts";

const agreementOut = z.object({
  task_id: z.uuid(),
  revision: z.string(),
  alpha: estimateOut.nullable().openapi({
    description: "1 is agreement, 0 chance; null where no image has two raters, or all stars are equal",
  }),
  ratings: z.int(),
  images: z.int(),
  shared_images: z.int().openapi({ description: "Images that two raters or more have rated" }),
  units: z.int().openapi({ description: "Content units of those, which the interval is over" }),
  raters: z.array(z.object({
    rater_id: z.uuid(),
    rater: z.string().nullable().openapi({
      description: "E-mail; null for a link's and for who has gone",
    }),
    n: z.int(),
    shared: z.int().openapi({ description: "Images that another rated too" }),
    bias: z.number().nullable().openapi({ description: "Stars more than all give" }),
    inconsistency: z.number().nullable().openapi({ description: "Deviation of the rest, in stars" }),
  })),
  warnings: z.array(z.object({ code: z.string(), text: z.string() })),
  method: z.string(),
}).openapi("Agreement");

const readAgreement = defineRoute({
  method: "get",
  path: "/tasks/{id}/agreement",
  who: "reader",
  tags: ["statistics"],
  summary: "How far raters agree, with each one's bias and inconsistency",
  request: { params: taskParams },
  responses: { 200: jsonAnswer(agreementOut, "Of the images that are there now") },
});

/** Content units of the cells; each image for itself where no axis is content. */
function unitsOf({ axes, places }: TaskSheet): { of: Int32Array; count: number } {
  const content = axes.flatMap(({ role }, i) => role === "content" ? [places.levels[i]!] : []);
  return content.length > 0
    ? combine(content, places.cells)
    : { of: Int32Array.from({ length: places.cells }, (_, cell) => cell), count: places.cells };
}

/** Coincidences of each unit in which two raters met, one after the other. */
function tabulate(from: TaskSheet) {
  const { places: { cells }, sheet } = from;
  const counts = countStars(sheet, cells);
  const { of: unit } = unitsOf(from);
  const placeOf = new Map<number, number>();
  const shared: number[] = [];
  let images = 0;
  for (let cell = 0; cell < cells; cell++) {
    let n = 0;
    for (let i = 0; i < starsMax; i++) n += counts[cell * starsMax + i]!;
    if (n > 0) images++;
    if (n < 2 || unit[cell]! < 0) continue;
    shared.push(cell);
    if (!placeOf.has(unit[cell]!)) placeOf.set(unit[cell]!, placeOf.size);
  }
  const size = starsMax * starsMax;
  const tables = new Float64Array(placeOf.size * size);
  for (const cell of shared) {
    const at = placeOf.get(unit[cell]!)! * size;
    addCoincidences(
      counts.subarray(cell * starsMax, (cell + 1) * starsMax),
      tables.subarray(at, at + size),
    );
  }
  return { tables, images, shared: shared.length, units: placeOf.size };
}

const method =
  `Krippendorff's alpha with ordinal distances; its 95 % interval by drawing content units anew 1,000 times, with a ` +
  `fixed seed, from ${unitsMin} units on. Bias (ITU-T P.913): the mean over a rater's images of rating − mean of the ` +
  `image; inconsistency: the deviation of the rest.`;

export function addAgreement(app: V2App): void {
  app.openapi(readAgreement, async (c) => {
    const { id } = c.req.valid("param");
    const from = await loadSheet(c, id, { ratings: true });
    const { sheet, places, task } = from;
    const { raters, cell, rater, stars } = sheet;
    const { tables, images, shared, units } = tabulate(from);
    const names = await findRaterNames(c.var.deps.sql, raters);
    const traits = judgeRaters({ image: cell, rater, stars, images: places.cells, raters: raters.length });
    const n = new Uint32Array(raters.length);
    for (const r of rater) n[r]!++;
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
    return await answerTagged(c, {
      task_id: id,
      revision: task.revision,
      alpha,
      ratings: stars.length,
      images,
      shared_images: shared,
      units,
      raters: raters.map((rater_id, r) => ({
        rater_id,
        rater: names.get(rater_id) ?? null,
        n: n[r]!,
        ...traits[r]!,
      })),
      warnings,
      method,
    }) as never;
  });
}
