/**
 * What people said about a cell, as the columns of an export. Columns that begin with the same word are lists in the same
 * order: the third of `ratings` was given by the third of `raters`.
 */
import type { ExportCell, ExportVote } from "../../../db/views/export.ts";

/** Feedback on one image. A person is an e-mail address or an id. */
export interface ImageFeedback {
  raters: string[];
  /** 1 to 5 stars; null for a skipped image. */
  ratings: (number | null)[];
  skip_reasons: (string | null)[];
  ratings_blind: boolean[];
  ratings_took_ms: (number | null)[];
  evaluations: string[];
  /** Null if the text has no known author. */
  evaluation_authors: (string | null)[];
  evaluation_tags: string[][];
  votes: (Omit<ExportVote, "version" | "rater_id"> & { rater: string })[];
}

/** Feedback on a cell: on its present image, on the cell itself, and on earlier images. */
export interface Feedback extends ImageFeedback {
  tags: string[];
  tag_authors: string[];
  earlier_images: ({ version: number } & ImageFeedback)[];
}

/** Names of the columns, in the order of an export. All of them are lists. */
export const feedbackColumns = [
  "evaluations",
  "tags",
  "evaluation_authors",
  "evaluation_tags",
  "tag_authors",
  "raters",
  "ratings",
  "skip_reasons",
  "ratings_blind",
  "ratings_took_ms",
  "votes",
  "earlier_images",
] as const satisfies (keyof Feedback)[];

/** Returns a person's name in an export, by id. */
export type NameOf = (id: string) => string;

/** Returns the ids of everybody who said something about the cells. */
export function listPeople(cells: ExportCell[]): Set<string> {
  const ids = new Set<string>();
  for (const { ratings, evaluations, votes, tags } of cells) {
    for (const [, rater] of ratings ?? []) ids.add(rater);
    for (const { author_id } of evaluations ?? []) ids.add(author_id);
    for (const { rater_id } of votes ?? []) ids.add(rater_id);
    for (const { author_id } of tags ?? []) ids.add(author_id);
  }
  return ids;
}

const isOf = (wanted: number) => ({ version }: { version: number }) => version === wanted;

function imageFeedback(
  { ratings, evaluations, votes }: ExportCell,
  version: number,
  nameOf: NameOf,
): ImageFeedback {
  const given: Pick<
    ImageFeedback,
    "raters" | "ratings" | "skip_reasons" | "ratings_blind" | "ratings_took_ms"
  > = {
    raters: [],
    ratings: [],
    skip_reasons: [],
    ratings_blind: [],
    ratings_took_ms: [],
  };
  for (const [rated, rater, stars, skipped, blind, tookMs] of ratings ?? []) {
    if (rated !== version) continue;
    given.raters.push(nameOf(rater));
    given.ratings.push(stars);
    given.skip_reasons.push(skipped);
    given.ratings_blind.push(blind);
    given.ratings_took_ms.push(tookMs);
  }
  const texts = (evaluations ?? []).filter(isOf(version));
  return {
    ...given,
    evaluations: texts.map(({ text }) => text),
    evaluation_authors: texts.map(({ author_id }) => nameOf(author_id)),
    evaluation_tags: texts.map(({ tags }) => tags),
    votes: (votes ?? []).filter(isOf(version)).map(({ version: _, rater_id, ...vote }) =>
      Object.assign({ rater: nameOf(rater_id) }, vote)
    ),
  };
}

/** Converts the feedback of a cell to columns. */
export function toFeedback(cell: ExportCell, nameOf: NameOf): Feedback {
  const ofFeedback = [cell.evaluations, cell.votes].flatMap((list) =>
    (list ?? []).map(({ version }) => version)
  );
  const versions = [...(cell.ratings ?? []).map(([version]) => version), ...ofFeedback];
  const earlier = [...new Set(versions)].filter((version) => version !== cell.version).sort((a, b) => a - b);
  const present = imageFeedback(cell, cell.version, nameOf);
  // A text can stand on the cell alone, without an evaluation.
  const isAlone = present.evaluations.length === 0 && cell.evaluate !== null;
  const texts = isAlone ? cell.evaluate! : present.evaluations;
  return Object.assign(present, {
    evaluations: texts,
    evaluation_authors: isAlone ? texts.map(() => null) : present.evaluation_authors,
    evaluation_tags: isAlone ? texts.map(() => []) : present.evaluation_tags,
    tags: (cell.tags ?? []).map(({ tag }) => tag),
    tag_authors: (cell.tags ?? []).map(({ author_id }) => nameOf(author_id)),
    earlier_images: earlier.map((version) =>
      Object.assign({ version }, imageFeedback(cell, version, nameOf))
    ),
  });
}

/** Counts the ratings with one to five stars; null if there are none. */
export function countStars({ ratings }: ImageFeedback): number[] | null {
  const counts = [1, 2, 3, 4, 5].map((stars) => ratings.filter((given) => given === stars).length);
  return counts.every((count) => count === 0) ? null : counts;
}
