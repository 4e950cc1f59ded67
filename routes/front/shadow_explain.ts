/**
 * Finds the cause of each difference between an answer of the old backend and the one of this system. An unexplained
 * difference is looked at again after the changes up to the old answer have been applied.
 */
import { type Answer, valueAt } from "../../comparison/answer.ts";
import { type Difference, groupPath } from "../../comparison/compare.ts";
import { type Exchange, fieldOf } from "../../comparison/exchange.ts";
import { judge, type JudgeContext, type Observation, observeRedirect } from "../../comparison/judge.ts";
import { hasDotSegments } from "../../comparison/paths.ts";
import { type Cause, examine, type LookResult } from "../../comparison/looks.ts";
import type { Step } from "../../comparison/request.ts";
import { followedPath, rules } from "../../comparison/rules.ts";
import { countedCollection, lastChange, suspectIds } from "../../comparison/suspects.ts";
import type { Pool } from "../../db/pg/connect.ts";
import {
  findDataCause,
  findHiddenTasks,
  type FollowedPosition,
  readFollowedPosition,
} from "../../db/traffic/differences.ts";
import {
  type Ask,
  askAgain,
  type RepeatableRequest,
  splitUrl,
  type TextAnswer,
  toStep,
} from "./shadow_ask.ts";
import { paced, parseAnswers } from "./shadow_parse.ts";

/** A difference with its cause, as it is stored. */
export interface Explained {
  route: string;
  path: string;
  cause: Cause;
  rule: string;
  old: string;
  new: string;
}

/** Both systems, and the database in which the applied position stands. */
export interface Systems {
  sql: Pool;
  askOld: Ask;
  askNew: Ask;
  waits: Waits;
  signal: AbortSignal;
}

export interface Waits {
  /** Longest wait until the changes up to an answer are applied, in milliseconds. */
  positionMs: number;
  /** Interval of the looks at the position, in milliseconds. */
  lookMs: number;
  /** How often both systems are asked again at most. */
  looksMax: number;
}

/** The differences of an answer of the old backend and the one of this system. */
export interface Comparison {
  request: RepeatableRequest;
  step: Step;
  /** URL of the old backend's answer: the request's, or the one that it was redirected to. */
  oldUrl: string;
  explained: Explained[];
  unexplained: Observation[];
}

/** The position has whole seconds, and the clocks of both systems may differ by a second. */
const positionMarginMs = 2_000;

const noiseRules = new Set(rules.filter(({ isNoise }) => isNoise).map(({ name }) => name));

const pathLengthMax = 200;

const toExplained = ({ route, difference }: Observation, cause: Cause, rule: string): Explained => ({
  route,
  path: placeOf(difference).slice(0, pathLengthMax),
  cause,
  rule,
  old: difference.old,
  new: difference.new,
});

/** Returns where a difference is, without ids and places in lists: those of many objects are one kind. */
function placeOf({ kind, path }: Difference): string {
  if (kind === "status") return "(status)";
  if (kind === "header") return `(header ${path})`;
  const grouped = groupPath(path)
    .replace(/\/(?:[0-9a-f]{24}|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?=\/|$)/gi, "/*");
  return grouped === "" ? "(body)" : grouped;
}

const explainByRule = (observation: Observation): Explained =>
  toExplained(observation, noiseRules.has(observation.rule!) ? "noise" : "intended", observation.rule!);

async function createContext(sql: Pool, now: Answer, url: string): Promise<JudgeContext> {
  const tasks = valueAt(now, "/data/tasks");
  const ids = [valueAt(now, "/data/id"), valueAt(now, "/data/task_id")];
  if (Array.isArray(tasks)) ids.push(...tasks.map((task) => fieldOf(task, "id")));
  const texts = ids.filter((id) => typeof id === "string");
  const { origin } = splitUrl(url);
  return {
    facts: {
      hiddenTasks: await findHiddenTasks(sql, texts),
      misreportedTasks: new Set(),
      ownChanges: new Map(),
    },
    // Both systems have the same objects, so no value is due to the comparison itself.
    sinceMs: Infinity,
    pairs: new Map(),
    origins: [origin, origin],
  };
}

/** Reports whether a system accepts the token of a request. */
async function acceptsToken(ask: Ask, { url, headers }: RepeatableRequest, signal: AbortSignal) {
  const me = { method: "GET", url: `${splitUrl(url).origin}/api/v1/users/me`, headers };
  const answer = await askAgain(ask, me, signal);
  return answer !== undefined && answer.status !== 401;
}

/** Asks the old backend for the path that it redirects to because of the last slash, if it does. */
async function followRedirect(
  { askOld, signal }: Systems,
  request: RepeatableRequest,
  exchange: Exchange,
): Promise<{ path: string; url: string; answer: TextAnswer | undefined } | undefined> {
  const path = followedPath(exchange);
  if (path === undefined) return undefined;
  const { query } = exchange.step;
  const url = splitUrl(request.url).origin + path + (query.length > 0 ? `?${query.join("&")}` : "");
  // A Request resolves `..`, so such a path cannot be asked for.
  const answer = hasDotSegments(path) ? undefined : await askAgain(askOld, { ...request, url }, signal);
  return { path, url, answer };
}

const withoutBody = ({ status, headers }: TextAnswer): Answer => ({ status, headers, body: undefined });

/** Compares an answer with that of this system. @returns undefined if one of them has no answer for now */
export async function compareOnce(
  systems: Systems,
  request: RepeatableRequest,
  old: TextAnswer,
): Promise<Comparison | undefined> {
  const { sql, askOld, askNew, signal } = systems;
  const now = await askAgain(askNew, request, signal);
  if (now === undefined || now.status === 503) return undefined;
  const isAccepted = now.status !== 401 || await acceptsToken(askNew, request, signal) ||
    await acceptsToken(askOld, request, signal);
  let step = toStep(request, isAccepted);
  let oldText = old;
  const explained: Explained[] = [];
  const heads: Exchange = { step, old: withoutBody(old), new: withoutBody(now) };
  const followed = await followRedirect(systems, request, heads);
  if (followed) {
    if (followed.answer === undefined) return undefined;
    explained.push(explainByRule(observeRedirect(heads)));
    step = { ...step, path: followed.path };
    oldText = followed.answer;
  }
  const answers = await parseAnswers([oldText, now], signal);
  const exchange: Exchange = { step, old: answers[0]!, new: answers[1]! };
  const context = await createContext(sql, exchange.new, request.url);
  const { observations } = await paced(() => judge(exchange, context), signal);
  explained.push(...observations.filter(({ rule }) => rule !== undefined).map(explainByRule));
  const unexplained = observations.filter(({ rule }) => rule === undefined);
  return { request, step, oldUrl: followed?.url ?? request.url, explained, unexplained };
}

/** What is known about the position before a look. */
interface Position {
  /** Whether all changes up to the old answer are applied, as far as it can be told. */
  isPassed: boolean;
  followed: FollowedPosition | undefined;
}

/** Waits until the changes up to a time are applied, if a sync applies changes. */
async function waitForPosition({ sql, waits, signal }: Systems, atMs: number): Promise<Position> {
  const until = performance.now() + waits.positionMs;
  for (;;) {
    const followed = await readFollowedPosition(sql);
    if (!followed?.isFollowing) return { isPassed: true, followed };
    if ((followed.atMs ?? 0) >= atMs + positionMarginMs) return { isPassed: true, followed };
    if (performance.now() > until || signal.aborted) return { isPassed: false, followed };
    await new Promise((resolve) => setTimeout(resolve, waits.lookMs));
  }
}

const lagRules = {
  equal: "equal when both were asked again",
  notApplied: "the changes up to the answer were not applied in time",
  later: "the object has changed after the applied position",
  changing: "the object changed again at each look",
};
const failedOnce = "failed once";
const noiseRule = "the old backend answers differently each time";

/** The last look at unexplained differences, with the answers that it is about. */
interface LastLook {
  result: LookResult;
  exchange: Exchange;
  position: Position;
}

async function explainDifferent(
  { sql }: Systems,
  observation: Observation,
  { exchange, position: { isPassed, followed } }: LastLook,
): Promise<Explained> {
  if (!isPassed) return toExplained(observation, "lag", lagRules.notApplied);
  const { difference } = observation;
  const changedMs = lastChange(difference, exchange);
  const isLater = followed && changedMs !== undefined && changedMs > (followed.atMs ?? 0);
  if (isLater) return toExplained(observation, "lag", lagRules.later);
  const ids = suspectIds(difference, exchange);
  const rule = await findDataCause(sql, ids, countedCollection(difference, exchange));
  return rule === undefined ? toExplained(observation, "code", "") : toExplained(observation, "data", rule);
}

/** Explains a difference that was gone when both were asked again. A failure of one of them is none of the data. */
function explainGone(observation: Observation): Explained {
  const { kind, old, new: now } = observation.difference;
  if (kind === "status" && parseInt(now) >= 500) return toExplained(observation, "code", failedOnce);
  if (kind === "status" && parseInt(old) >= 500) return toExplained(observation, "noise", failedOnce);
  return toExplained(observation, "lag", lagRules.equal);
}

async function explainLast(
  systems: Systems,
  unexplained: Observation[],
  last: LastLook,
): Promise<Explained[]> {
  const { different, changing, isRewritten } = last.result;
  const explained: Explained[] = [];
  for (const one of different) explained.push(await explainDifferent(systems, one, last));
  for (const one of changing) {
    explained.push(
      isRewritten ? toExplained(one, "lag", lagRules.changing) : toExplained(one, "noise", noiseRule),
    );
  }
  const remaining = new Set(explained.map(({ path }) => path));
  const gone = unexplained.map(explainGone).filter(({ path }) => !remaining.has(path));
  return [...explained, ...gone];
}

/**
 * Asks both systems again until each difference has a cause.
 *
 * @returns undefined if one of them does not answer
 */
export async function explainByLooks(
  systems: Systems,
  { request, step, oldUrl, unexplained }: Comparison,
): Promise<Explained[] | undefined> {
  const { sql, askNew, waits, signal } = systems;
  const askOld = () => askAgain(systems.askOld, { ...request, url: oldUrl }, signal);
  let before = await askOld();
  for (let look = 1; before !== undefined; look++) {
    const position = await waitForPosition(systems, Date.now());
    const now = await askAgain(askNew, request, signal);
    const after = await askOld();
    if (now === undefined || now.status === 503 || after === undefined) return undefined;
    const [first, mine, second] = await parseAnswers([before, now, after], signal) as [
      Answer,
      Answer,
      Answer,
    ];
    const context = await createContext(sql, mine, request.url);
    const result = await paced(
      () => examine({ step, before: first, now: mine, after: second }, context),
      signal,
    );
    const isDecided = result.different.length > 0 ? position.isPassed : result.changing.length === 0;
    if (isDecided || look >= waits.looksMax || signal.aborted) {
      const exchange = { step, old: second, new: mine };
      return await explainLast(systems, unexplained, { result, exchange, position });
    }
    before = after;
  }
  return undefined;
}
