/**
 * Stages of a load and of a verification with their estimated costs, relative to the cost of a byte in the longest
 * stage. The estimates come from `deno task bench load` and only start the estimate of the time left: the estimator
 * learns the real costs while a stage runs.
 */
import type { Stage } from "../tools/eta.ts";
import { acceptsFastPath } from "../lens/tables.ts";
import type { Collection, RawDocument } from "../documents/source.ts";

export const stageNames = {
  survey: "checking the source",
  load: "loading",
  settle: "settling",
  verify: "verifying",
  rest: "adding up",
} as const;

/** Form of a source's subtasks: JSON for the fast path, other JSON, or BSON. Each is mapped at another speed. */
export type Form = "fast lines" | "other lines" | "bson";

/** Returns the form of a document. */
export function formOf(collection: Collection, raw: RawDocument): Form {
  if (raw.isBson) return "bson";
  return acceptsFastPath(collection, raw) ? "fast lines" : "other lines";
}

interface Costs {
  survey: number;
  /** Everything after the longest stage: indexes, counters, sums. */
  tail: number;
}

const loadCosts: Record<Form, Costs> = {
  "fast lines": { survey: 0.275, tail: 0.26 },
  "other lines": { survey: 0.12, tail: 0.08 },
  bson: { survey: 0.18, tail: 0.25 },
};

const verifyCosts: Record<Form, Costs> = {
  "fast lines": { survey: 0.285, tail: 0.055 },
  "other lines": { survey: 0.16, tail: 0.03 },
  bson: { survey: 0.135, tail: 0.06 },
};

/** Sizes of a source. */
export interface Bytes {
  /** Bytes of the whole source. */
  all: number;
  /** Bytes that are not loaded yet. */
  left?: number;
}

/** Returns the stages of a load. */
export const loadStages = (form: Form, { all, left = all }: Bytes): Stage[] => [
  { name: stageNames.survey, units: all * loadCosts[form].survey },
  { name: stageNames.load, units: left },
  { name: stageNames.settle, units: all * loadCosts[form].tail },
];

/** Returns the stages of a verification. */
export const verifyStages = (form: Form, { all }: Bytes): Stage[] => [
  { name: stageNames.survey, units: all * verifyCosts[form].survey },
  { name: stageNames.verify, units: all },
  { name: stageNames.rest, units: all * verifyCosts[form].tail },
];
