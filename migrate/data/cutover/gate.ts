/** The gate: every check on whether this system can be put in charge now, each with its name and what to do. */
import { gateReadingName } from "../../../db/migration/journal.ts";
import { digestKey, product } from "../../../db/traffic/identity.ts";
import { AppError } from "../../../errors.ts";
import { applyRules, type Check, type Rule } from "./check.ts";
import type { SwitchContext } from "./context.ts";
import { readAcceptances, saveAcceptances, saveDecision } from "./decisions.ts";
import { followRules, readFollowFacts } from "./gate_follow.ts";
import {
  environmentRules,
  oldRules,
  readEnvironmentFacts,
  readOldFacts,
  readSourceFacts,
  sourceRules,
} from "./gate_outside.ts";
import { targetRules } from "./gate_target.ts";
import { findLastCutover } from "./journal.ts";
import type { SwitchOptions } from "./options.ts";
import { findSchemaFault, readTargetFacts } from "./target_facts.ts";

export interface Gate {
  isReady: boolean;
  checks: Check[];
}

/** Names of all checks. */
export const checkNames: readonly string[] = [
  followRules,
  targetRules,
  sourceRules,
  oldRules,
  environmentRules,
]
  .flatMap((rules) => rules.map(({ name }) => name));

/** Reads facts and checks them. Facts that cannot be read make their checks unknown. */
async function checkAll<Facts>(
  rules: readonly Rule<Facts>[],
  read: () => Promise<Facts>,
  accepted: ReadonlySet<string>,
): Promise<Check[]> {
  try {
    return applyRules(rules, await read(), "", accepted);
  } catch (error) {
    return applyRules(rules, undefined, (error as Error).message.split("\n")[0]!, accepted);
  }
}

/** Checks everything, and stores what was found. */
export async function readGate(context: SwitchContext, options: SwitchOptions): Promise<Gate> {
  const { pool, config, by } = context;
  const schemaFault = await findSchemaFault(pool);
  if (schemaFault !== undefined) {
    const todo = "run 'deno task migrate'";
    return {
      isReady: false,
      checks: [{ name: "schema_current", state: "not_ready", found: schemaFault, todo, accepts: [] }],
    };
  }
  const acceptances = await readAcceptances(pool);
  const { names } = acceptances;
  const identity = { product, keyDigest: digestKey(config.SECRET_KEY) };
  const checks = (await Promise.all([
    checkAll(followRules, () => readFollowFacts(pool, acceptances), names),
    checkAll(targetRules, () => readTargetFacts(pool, options, identity), names),
    checkAll(sourceRules, () => readSourceFacts(context, options), names),
    checkAll(oldRules, () => readOldFacts(context), names),
    checkAll(environmentRules, () => readEnvironmentFacts(context), names),
  ])).flat();
  const gate = { isReady: checks.every(({ state }) => state === "ready" || state === "accepted"), checks };
  // Those who watch the migration see it, without access to MongoDB.
  await saveDecision(pool, gateReadingName, gate, by);
  return gate;
}

/** The error of a gate that is not open. It names each check with what to do. */
export function notReady(action: string, checks: readonly Check[]): AppError {
  const open = checks.filter(({ state }) => state === "not_ready" || state === "unknown");
  const lines = open.map(({ name, found, todo }) => `  ${name}: ${found}; ${todo}`);
  return new AppError("conflict", `${action}: not ready, and nothing has changed:\n${lines.join("\n")}`);
}

/**
 * Requires that every check is passed or accepted.
 *
 * @returns the pause that the last rehearsal of a day predicts, if there was one
 * @throws AppError conflict
 */
export async function requireReady(
  context: SwitchContext,
  options: SwitchOptions,
): Promise<{ predictedMs: number | null }> {
  await saveAcceptances(context, options.accept);
  const { isReady, checks } = await readGate(context, options);
  if (!isReady) throw notReady("cutting over", checks);
  const rehearsal = await findLastCutover(context.pool, "rehearsal");
  return { predictedMs: rehearsal?.pause_ms ?? null };
}
