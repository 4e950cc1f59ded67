/**
 * Tells whether a difference is due to data that has changed in the meantime. The old backend is asked before and after
 * the new one, so that a value that changes between its own answers is recognised.
 */
import type { Answer } from "./answer.ts";
import type { Difference } from "./compare.ts";
import { judge, type JudgeContext, type Observation } from "./judge.ts";
import type { Step } from "./request.ts";

/** Causes of a difference. */
export const causes = ["lag", "data", "code", "noise", "intended"] as const;
export type Cause = (typeof causes)[number];

/** Answers to one request, in the order in which they were given. */
export interface Look {
  step: Step;
  before: Answer;
  now: Answer;
  after: Answer;
}

/** The unexplained differences of a look. Those that are in none of the lists are gone. */
export interface LookResult {
  /** The old backend gave the same value twice, and the new one another. */
  different: Observation[];
  /** The old backend gave two values, and the new one neither of them. */
  changing: Observation[];
  /** Whether the old backend stored a task anew between its answers. */
  isRewritten: boolean;
}

const keyOf = ({ kind, path }: Difference): string => `${kind} ${path}`;

/** Kinds after which the values below the path are not compared. */
const covering = new Set(["status", "body form", "field missing", "field extra", "length", "type"]);

/** Reports whether a difference is at the path of another, or prevents a comparison at it. */
const covers = (one: Difference, { kind, path }: Difference): boolean =>
  one.kind === kind && one.path === path ||
  covering.has(one.kind) && (one.path === path || one.path === "" || path.startsWith(`${one.path}/`));

function listUnexplained(
  { step }: Look,
  old: Answer,
  now: Answer,
  context: JudgeContext,
): Map<string, Observation> {
  const { observations } = judge({ step, old, new: now }, context);
  const unexplained = observations.filter(({ rule }) => rule === undefined);
  return new Map(unexplained.map((one) => [keyOf(one.difference), one]));
}

/** Compares the answers of a look. */
export function examine(look: Look, context: JudgeContext): LookResult {
  const first = listUnexplained(look, look.before, look.now, context);
  const second = listUnexplained(look, look.after, look.now, context);
  const own = judge({ step: look.step, old: look.before, new: look.after }, context).observations
    .map(({ difference }) => difference);
  const result: LookResult = {
    different: [],
    changing: [],
    isRewritten: own.some(({ path }) => path.endsWith("/updated_at")),
  };
  for (const [key, observation] of new Map([...first, ...second])) {
    const isOwn = own.some((difference) => covers(difference, observation.difference));
    const isInBoth = first.has(key) && second.has(key);
    if (!isOwn && isInBoth) result.different.push(observation);
    else if (isOwn && (isInBoth || isHidden(key, observation, first, second))) {
      result.changing.push(observation);
    }
  }
  return result;
}

/** Reports whether a difference is missing in one of both lists because it could not be compared there. */
function isHidden(
  key: string,
  { difference }: Observation,
  ...lists: Map<string, Observation>[]
): boolean {
  const other = lists.find((list) => !list.has(key))!;
  return [...other.values()].some((one) => covers(one.difference, difference));
}
