/** A cell as v2 answers it, with as much of others' ratings as may be seen. */
import { z } from "@hono/zod-openapi";
import type { CellRow } from "../../../db/views/cells.ts";
import { taskStatuses } from "../../../db/queue/task_fields.ts";

export const voicesOut = z.object({
  mean: z.number().nullable().openapi({ description: "Of all raters; null while others are hidden" }),
  n: z.int().nullable().openapi({ description: "Null while others are hidden" }),
  stars: z.int().nullable().openapi({ description: "One's own" }),
  skipped: z.string().nullable().openapi({ description: "One's own" }),
});

export const cellFields = {
  cell: z.int(),
  status: z.enum(taskStatuses),
  version: z.int().openapi({ description: "The attempt that made the image, or the one under way" }),
  url: z.string().nullable(),
  thumbnail: z.string().nullable().openapi({
    description: "The image itself where the image API told of no other",
  }),
  seed: z.string().nullable().openapi({ description: "Digits: it may have 64 bits" }),
  error: z.string().nullable(),
  ratings: voicesOut,
};
export const cellOut = z.object(cellFields).openapi("Cell");

type Voices = Pick<CellRow, "rating_n" | "rating_sum" | "own_stars" | "own_skipped">;

/** @param hidesOthers until one has given stars oneself */
export function toVoices(row: Voices, hidesOthers: boolean): z.infer<typeof voicesOut> {
  const { rating_n: n, rating_sum: sum, own_stars: stars, own_skipped: skipped } = row;
  const isShown = !hidesOthers || stars !== null;
  return { mean: isShown && n > 0 ? sum / n : null, n: isShown ? n : null, stars, skipped };
}

export function toCell(row: CellRow, hidesOthers: boolean): z.infer<typeof cellOut> {
  const { cell, status, version, image_url: url, thumbnail, seed, error } = row;
  return { cell, status, version, url, thumbnail, seed, error, ratings: toVoices(row, hidesOthers) };
}
