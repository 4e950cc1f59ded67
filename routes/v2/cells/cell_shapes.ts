/** Response schema of a cell. Ratings of others are included only if the principal may see them. */
import { z } from "@hono/zod-openapi";
import type { CellRow } from "../../../db/views/cells.ts";
import { taskStatuses } from "../../../db/queue/task_fields.ts";

export const ratingSummaryOut = z.object({
  mean: z.number().nullable().openapi({
    description: "Mean over all raters; null while others' ratings are hidden",
  }),
  n: z.int().nullable().openapi({ description: "Number of raters; null while others' ratings are hidden" }),
  stars: z.int().nullable().openapi({ description: "One's own stars" }),
  skipped: z.string().nullable().openapi({ description: "One's own reason for skipping" }),
});

export const cellFields = {
  cell: z.int(),
  status: z.enum(taskStatuses),
  version: z.int().openapi({ description: "Number of the attempt that made the image or is under way" }),
  url: z.string().nullable(),
  thumbnail: z.string().nullable().openapi({
    description: "The image itself if the image API provided no thumbnail",
  }),
  seed: z.string().nullable().openapi({ description: "Decimal digits; a seed may have 64 bits" }),
  error: z.string().nullable(),
  ratings: ratingSummaryOut,
};
export const cellOut = z.object(cellFields).openapi("Cell");

type RatingColumns = Pick<CellRow, "rating_n" | "rating_sum" | "own_stars" | "own_skipped">;

/**
 * Summarises the ratings of an image.
 *
 * @param hidesOthers whether others' ratings are hidden until one has given stars
 */
export function toRatingSummary(row: RatingColumns, hidesOthers: boolean): z.infer<typeof ratingSummaryOut> {
  const { rating_n: n, rating_sum: sum, own_stars: stars, own_skipped: skipped } = row;
  const isShown = !hidesOthers || stars !== null;
  return { mean: isShown && n > 0 ? sum / n : null, n: isShown ? n : null, stars, skipped };
}

/** Converts a row to the response. */
export function toCell(row: CellRow, hidesOthers: boolean): z.infer<typeof cellOut> {
  const { cell, status, version, image_url: url, thumbnail, seed, error } = row;
  return { cell, status, version, url, thumbnail, seed, error, ratings: toRatingSummary(row, hidesOthers) };
}
