/** Waits until checks are passed: shows what is missing, asks what only a person can decide, and tells the progress. */
import { AppError } from "../../../errors.ts";
import type { Check } from "../cutover/check.ts";
import { saveAcceptances } from "../cutover/decisions.ts";
import { Estimator } from "../tools/eta.ts";
import { formatSpan } from "../tools/format.ts";
import { wait } from "../../../wait.ts";
import type { MoveContext, StageName } from "./context.ts";
import { type Facts, readFacts, type TargetState } from "./facts.ts";
import { listOpen } from "./stages.ts";

const lookMs = 1000;

/** Checks that become ready with time, or when the operator starts a process: they are waited for, not asked about. */
const passing: ReadonlySet<string> = new Set([
  "sync_lag",
  "shadow_compared",
  "worker_present",
  "redis_reachable",
]);

/** What is waited for, apart from checks. */
export interface Measure {
  isDone: boolean;
  /** What is shown. */
  text: string;
  /** Work done and all work, if the progress is known. */
  done?: number;
  total?: number;
}

export interface Wanted {
  /** Checks that must be passed. */
  checks: (target: TargetState) => Check[];
  measure?: (target: TargetState, facts: Facts) => Measure;
}

/** Returns the checks of the cut-over's gate by name. */
export const gateChecks = (names: readonly string[]) => (target: TargetState) =>
  listOpen(target.checks, names);

/** Accepts what flags accept, and asks a person about the rest. @returns whether something was accepted */
async function decide(context: MoveContext, open: readonly Check[], asked: Set<string>): Promise<boolean> {
  const { switching, options, dialogue } = context;
  const byFlag = open.flatMap(({ accepts }) => accepts).filter((name) => options.accept.includes(name));
  await saveAcceptances(switching, byFlag);
  const undecided = open.filter(({ name, accepts }) =>
    accepts.length > 0 && !passing.has(name) && !accepts.every((one) => byFlag.includes(one))
  );
  if (dialogue.isScript && undecided.length > 0) {
    const lines = undecided.map(({ name, found, todo }) => `  ${name}: ${found}; ${todo}`);
    throw new AppError("conflict", `move: somebody must decide first:\n${lines.join("\n")}`);
  }
  let isChanged = byFlag.length > 0;
  for (const { name, found, todo, accepts } of undecided.filter((check) => !asked.has(check.name))) {
    asked.add(name);
    const question = `${name}: ${found}\n  ${todo.replace(/,? or --accept .*$/, "")}`;
    const answer = await dialogue.ask(question, { n: "it will be mended, wait", y: `accept it for a day` });
    if (answer === "n") continue;
    await saveAcceptances(switching, accepts);
    isChanged = true;
  }
  return isChanged;
}

function describe(open: readonly Check[]): string {
  return ["waiting for:", ...open.map(({ name, found, todo }) => `  ${name}: ${found}; ${todo}`)].join("\n");
}

/** Estimates the time left from the work done so far. */
class Pace {
  readonly #estimator = new Estimator();
  #total = -1;
  #done = 0;

  left({ done, total }: Measure): string {
    if (done === undefined || total === undefined || total === 0) return "";
    if (this.#total !== total) {
      this.#estimator.begin("", total);
      this.#estimator.resume(done);
      this.#total = total;
    } else if (done > this.#done) this.#estimator.add(done - this.#done);
    this.#done = done;
    const { secondsLeft } = this.#estimator;
    return secondsLeft === undefined ? "" : `, about ${formatSpan(Math.max(1, secondsLeft))} left`;
  }
}

/**
 * Waits until all checks are passed and the measure is done.
 *
 * @throws AppError conflict when a script must decide something first, busy after the longest wait, interrupted; Left
 */
export async function waitUntil(
  context: MoveContext,
  stage: StageName,
  { checks, measure }: Wanted,
): Promise<TargetState> {
  const { dialogue, settings: { waitMs } } = context;
  const until = performance.now() + waitMs;
  const asked = new Set<string>();
  const pace = new Pace();
  let shown = "";
  while (true) {
    dialogue.check();
    const facts = await readFacts(context);
    const target = facts.target;
    if (target === undefined) throw new AppError("schema_mismatch", `move: ${facts.schemaFault}`);
    const open = checks(target);
    const measured = measure?.(target, facts);
    if (open.length === 0 && measured?.isDone !== false) {
      dialogue.live.clear();
      return target;
    }
    if (await decide(context, open, asked)) continue;
    const names = open.map(({ name }) => name).join();
    if (names !== shown && open.length > 0) dialogue.note(describe(open));
    shown = names;
    const text = measured?.text ?? open.map(({ name, found }) => `${name}: ${found}`).join("; ");
    const left = measured ? pace.left(measured) : "";
    dialogue.live.show(`${stage}: ${text}${left}`, {
      stage,
      waiting_for: open.map(({ name }) => name),
      state: text,
    });
    if (performance.now() > until) {
      const missing = open.map(({ name, found, todo }) => `  ${name}: ${found}; ${todo}`);
      const what = missing.length > 0 ? missing.join("\n") : `  ${text}`;
      dialogue.live.clear();
      throw new AppError("busy", `move: waited ${formatSpan(waitMs / 1000)} for stage '${stage}':\n${what}`);
    }
    await wait(lookMs, context.switching.signal);
  }
}
