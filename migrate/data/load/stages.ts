/**
 * The stages of a load and of a verification, and what a byte of each costs beside one of the biggest: first guesses
 * for the time left, as `deno task bench load` shows them; what a stage really costs is learned while it runs.
 */
import type { Stage } from "../tools/eta.ts";
import { isUsualSubtask } from "../lens/fast_subtask.ts";
import type { RawDocument } from "../documents/source.ts";

export const stageNames = {
  survey: "checking the source",
  load: "loading",
  settle: "settling",
  verify: "verifying",
  rest: "adding up",
} as const;

/** How documents come: each has its own way through the lens, at its own speed. */
export type Form = "usual lines" | "other lines" | "bson";

export function formOf({ line }: RawDocument): Form {
  if (line === undefined) return "bson";
  return isUsualSubtask(line) ? "usual lines" : "other lines";
}

interface Costs {
  survey: number;
  /** What comes after the biggest stage: indexes, counters, sums. */
  tail: number;
}

const loadCosts: Record<Form, Costs> = {
  "usual lines": { survey: 0.24, tail: 0.26 },
  "other lines": { survey: 0.12, tail: 0.08 },
  bson: { survey: 0.15, tail: 0.25 },
};

const verifyCosts: Record<Form, Costs> = {
  "usual lines": { survey: 0.18, tail: 0.06 },
  "other lines": { survey: 0.16, tail: 0.03 },
  bson: { survey: 0.12, tail: 0.05 },
};

interface Bytes {
  /** Of the whole source. */
  all: number;
  /** That have to be carried yet. */
  left?: number;
}

export const loadStages = (form: Form, { all, left = all }: Bytes): Stage[] => [
  { name: stageNames.survey, units: all * loadCosts[form].survey },
  { name: stageNames.load, units: left },
  { name: stageNames.settle, units: all * loadCosts[form].tail },
];

export const verifyStages = (form: Form, { all }: Bytes): Stage[] => [
  { name: stageNames.survey, units: all * verifyCosts[form].survey },
  { name: stageNames.verify, units: all },
  { name: stageNames.rest, units: all * verifyCosts[form].tail },
];
