/** Causes of failures as filters. */

/** Length up to which v2 takes a cause. */
const causeMax = 500;

/** Returns the filter for a cause. v2 selects the causes that contain its text. */
export const filterOfCause = (cause: string): string => cause.slice(0, causeMax);
