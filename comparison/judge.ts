/** Judges a pair of answers: finds their differences, and the rule or the noise that explains each. Pure. */
import { compareAnswers, type Difference } from "./compare.ts";
import type { Exchange } from "./exchange.ts";
import { createNoise, isBodyNoise } from "./masks.ts";
import { suspectsOf } from "./own_reads.ts";
import { routeOf } from "./request.ts";
import { type Facts, hiddenRule, ruleFor, slashRule, withoutHidden } from "./rules.ts";

/** A difference with its route and the rule that explains it. */
export interface Observation {
  route: string;
  difference: Difference;
  rule: string | undefined;
}

/** What a judgement depends on besides the exchange. */
export interface JudgeContext {
  facts: Facts;
  /** Start of the run in ms since 1970, minus the accepted clock skew. */
  sinceMs: number;
  /** Ids of objects created in this run: the old backend's id → the new backend's id. */
  pairs: Map<string, string>;
  /** Origins of both backends, which Location headers contain. */
  origins: [old: string, now: string];
}

/** All differences of an exchange, and the names of the noise in it, one per value. */
export interface Judgement {
  observations: Observation[];
  masked: string[];
}

/** Returns the observation of a redirect that was followed. */
export const observeRedirect = ({ step, old, new: now }: Exchange): Observation => ({
  route: routeOf(step),
  difference: { kind: "status", path: "", old: `${old.status}`, new: `${now.status}` },
  rule: slashRule,
});

/** Compares the answers of an exchange and explains their differences. */
export function judge(given: Exchange, { facts, sinceMs, pairs, origins }: JudgeContext): Judgement {
  const { step } = given;
  const route = routeOf(step);
  const observations: Observation[] = [];
  let exchange = given;
  const page = withoutHidden(exchange, facts);
  if (page) {
    const difference: Difference = {
      kind: "length",
      path: "/data/tasks",
      old: "without hidden tasks",
      new: "with hidden tasks",
    };
    observations.push({ route, difference, rule: hiddenRule });
    exchange = { step, old: given.old, new: page };
  }
  if (isBodyNoise(step)) {
    const [old, now] = [exchange.old, exchange.new].map(({ status, headers }) => ({
      status,
      headers,
      body: undefined,
    }));
    exchange = { step, old: old!, new: now! };
  }
  const noise = createNoise({ step, old: exchange.old, new: exchange.new, sinceMs, pairs });
  const { differences, masked } = compareAnswers(exchange.old, exchange.new, noise, origins);
  for (const difference of differences) {
    observations.push({ route, difference, rule: ruleFor(difference, exchange, facts) });
  }
  return { observations, masked };
}

/**
 * Reports whether a further read of the old backend can explain differences: they concern tasks that it has read since
 * the last such read.
 */
export function mayBeOwnRead(
  { observations }: Judgement,
  exchange: Exchange,
  readTasks: ReadonlySet<string>,
): boolean {
  return readTasks.size > 0 && observations.some(({ difference }) => {
    const suspects = suspectsOf(difference, exchange);
    return suspects === "any" || suspects.some((id) => readTasks.has(id));
  });
}
