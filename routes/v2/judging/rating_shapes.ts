/** Shapes of ratings in requests and responses. */
import { z } from "@hono/zod-openapi";
import { anyCellNumber } from "../tasks/task_access.ts";
import { pageOf } from "../kit/pages.ts";
import { time } from "../kit/route.ts";
import { textSchema } from "../kit/texts.ts";

/** Number of the attempt that made an image. */
export const versionNumber = z.int().min(0).max(2_147_483_647);

/** Time that a person took for one judgement, at most a day. */
export const tookMs = z.int().min(0).max(86_400_000).optional();

/** The version that a person has judged. */
export const judgedVersion = versionNumber.optional().openapi({
  description: "Number of the attempt that made the judged image; refused if the cell has another one now",
});

const ratingFields = {
  stars: z.int().min(1).max(5).optional().openapi({
    description: "1 (bad) to 5 (good). Either `stars` or `skipped` is required",
  }),
  skipped: textSchema(500).optional().openapi({ description: "Reason for not rating" }),
  blind: z.boolean().default(false).openapi({
    description: "Whether the rater saw neither axes nor others' ratings",
  }),
  took_ms: tookMs,
  version: judgedVersion,
};

/** The alternatives of a rating, of which a request has one. */
interface Action {
  stars?: number | undefined;
  skipped?: string | undefined;
  cleared?: true | undefined;
}

const hasOneAction = ({ stars, skipped, cleared }: Action): boolean =>
  [stars, skipped, cleared].filter((action) => action !== undefined).length === 1;
const starsOrSkipped = [{ required: ["stars"] }, { required: ["skipped"] }];

export const ratingIn = z.strictObject(ratingFields)
  .refine(hasOneAction, { message: "either stars or skipped", path: ["stars"] })
  .openapi("RatingIn", { oneOf: starsOrSkipped });

/** Maximum number of ratings in one request. */
const bulkMax = 1000;
export const bulkIn = z.strictObject({
  ratings: z.array(
    z.strictObject({
      cell: anyCellNumber,
      ...ratingFields,
      cleared: z.literal(true).optional().openapi({ description: "Deletes one's rating" }),
    }).refine(hasOneAction, { message: "one of stars, skipped and cleared", path: ["stars"] })
      .openapi({ oneOf: [...starsOrSkipped, { required: ["cleared"] }] }),
  )
    .min(1).max(bulkMax),
}).openapi("RatingsIn");

export const ratingOut = z.object({
  cell: z.int(),
  version: z.int().openapi({ description: "Number of the attempt that made the rated image" }),
  stars: z.int().nullable(),
  skipped: z.string().nullable(),
  mean: z.number().nullable().openapi({
    description: "Mean over all raters; null while others' ratings are hidden",
  }),
  n: z.int().nullable(),
}).openapi("Rating");

export const bulkOut = z.object({
  rated: z.int(),
  ratings: z.array(ratingOut),
  refused: z.array(z.object({
    index: z.int().openapi({ description: "Position in the request, from 0" }),
    cell: z.int(),
    reason: z.enum(["no_cell", "no_image", "changed"]).openapi({
      description: "changed: the cell has another image than the judged one",
    }),
  })),
}).openapi("Ratings");

export const historyOut = pageOf(z.object({
  version: z.int(),
  rater_id: z.uuid(),
  rater: z.string().nullable().openapi({
    description: "E-mail address; null for a share, for a deleted user, and for requests with a share",
  }),
  action: z.enum(["rated", "changed", "cleared"]),
  stars: z.int().nullable(),
  skipped: z.string().nullable(),
  at: time,
})).openapi("RatingHistory");
