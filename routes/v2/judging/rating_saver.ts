/** Saves ratings that arrive close together in one statement. */
import { createBatcher } from "../../../batch.ts";
import { type RatingInput, type RatingOutcome, saveRatings } from "../../../db/judging/ratings.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { AppError } from "../../../errors.ts";

/** Saves a rating. @throws AppError busy */
export type SaveRating = (input: RatingInput) => Promise<RatingOutcome>;

/**
 * Maximum number of ratings that wait to be saved. They do not pass the gate, because one connection saves
 * them all.
 */
const waitingMax = 1000;

/** Creates a function that saves ratings in batches, which lock the row of each task once. */
export function createRatingSaver(sql: Pool): SaveRating {
  const save = createBatcher((inputs: RatingInput[]) => saveRatings(sql, inputs));
  let waiting = 0;
  return async (input) => {
    if (waiting >= waitingMax) throw new AppError("busy", `rating: ${waitingMax} ratings wait already`);
    waiting++;
    try {
      return await save(input);
    } finally {
      waiting--;
    }
  };
}
