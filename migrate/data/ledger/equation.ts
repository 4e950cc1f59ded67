/**
 * The equation of a followed source: documents = exact + adjusted + quarantined + waiting + excluded. The documents are
 * counted at the source, everything else in the target.
 */
import type { TargetCounts, TargetSnapshot } from "../../../db/migration/ledger.ts";
import type { Collection } from "../documents/source.ts";

/** The counts of one collection on both sides. */
export interface FollowedCollection extends TargetCounts {
  /** Documents at the source; null if they could not be counted. */
  documents: number | null;
  /** `documents` minus all that the target has; null if they could not be counted. */
  difference: number | null;
}

const sumOf = ({ exact, adjusted, quarantined, waiting, excluded }: TargetCounts): number =>
  exact + adjusted + quarantined + waiting + excluded;

/** Puts the documents beside what the target has. Null documents are unknown. */
export const toEquation = (
  { collections: counts }: TargetSnapshot,
  documents: ReadonlyMap<Collection, number> | null,
): FollowedCollection[] =>
  counts.map((one) => {
    const found = documents?.get(one.collection) ?? null;
    const difference = found === null ? null : found - sumOf(one);
    return Object.assign({}, one, { documents: found, difference });
  });
