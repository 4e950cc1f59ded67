/** A run: it sends requests to both backends, explains differences by rules, and shrinks the requests of the others. */
import fc from "fast-check";
import { type Answer, valueAt } from "../../comparison/answer.ts";
import { type Difference, groupPath } from "../../comparison/compare.ts";
import { type Exchange, isOn } from "../../comparison/exchange.ts";
import { type Case, createCases } from "./generate.ts";
import {
  judge,
  type JudgeContext,
  mayBeOwnRead,
  type Observation,
  observeRedirect,
} from "../../comparison/judge.ts";
import { unknownTask, unknownUser } from "./parts.ts";
import { type RecordedCall, smallerSteps } from "./recorded.ts";
import type { Step } from "../../comparison/request.ts";
import { fill, namesIn } from "./placeholders.ts";
import { followedPath, taskReads } from "../../comparison/rules.ts";
import type { Side } from "./side.ts";
import { findOwnChanges, saveValues, type Survey, survey } from "./survey.ts";

/** Options of a run. */
export interface Options {
  old: Side;
  new: Side;
  /** Seed, a 32-bit integer. */
  seed: number;
  /** Number of generated cases. */
  runs: number;
  withWrites: boolean;
  recorded: RecordedCall[];
  signal?: AbortSignal;
  onProgress?(done: number, total: number): void;
}

/** Differences of one kind at one path of one route. */
export interface Finding extends Difference {
  route: string;
  /** The rule that explains it. */
  rule?: string;
  count: number;
  from: "generated" | "recorded";
  /** Smallest case that shows the difference. */
  example: Case;
}

/** The result of a run. */
export interface Result {
  seed: number;
  requests: number;
  /** Number of skipped recorded requests: they write, or need a value from a skipped request. */
  skipped: number;
  masked: Map<string, number>;
  findings: Finding[];
  /** Whether the run was not interrupted. */
  isComplete: boolean;
}

/** Accepted clock skew. */
const skewMs = 300_000;
/** Maximum number of findings that are shrunk, and of requests per shrinking. */
const shrunkMax = 25;
const shrinkRequestsMax = 150;

/** Returns the key of a finding. Differences with equal keys form one finding. */
function keyOf({ route, difference: { kind, path, old, new: now }, rule }: Observation): string {
  const location = kind === "status" ? `${parseInt(old)} ${parseInt(now)}` : groupPath(path);
  return JSON.stringify([rule ?? "", route, kind, location]);
}

/** Returns the id of the task that the old backend read for its answer. */
function readTaskId(exchange: Exchange): string | undefined {
  const id = valueAt(exchange.old, "/data/id") ?? valueAt(exchange.old, "/data/task_id");
  return isOn(exchange, ...taskReads) && typeof id === "string" ? id : undefined;
}

/** The state of a run. */
class ShadowRun {
  readonly masked = new Map<string, number>();
  readonly found = new Map<string, Finding>();
  requests = 0;
  #recordedNames = new Set<string>();
  readonly #context: JudgeContext;
  /** Tasks that the old backend has read since its list was read for the last time. */
  readonly #readTasks = new Set<string>();

  constructor(readonly options: Options, readonly survey: Survey) {
    this.#context = {
      facts: survey.facts,
      sinceMs: Date.now() - skewMs,
      pairs: new Map(),
      origins: [options.old.origin, options.new.origin],
    };
  }

  get isStopped(): boolean {
    return this.options.signal?.aborted ?? false;
  }

  /** Sends a request to both backends and compares the answers. */
  async exchange(step: Step): Promise<Observation[]> {
    const { old, new: now } = this.options;
    this.requests++;
    const answers: [Answer, Answer] = await Promise.all([old.send(step), now.send(step)]);
    const observations: Observation[] = [];
    const filled = { ...step, path: fill(step.path, old.variables) };
    let exchange: Exchange = { step: filled, old: answers[0], new: answers[1] };
    const path = followedPath(exchange);
    if (path !== undefined) {
      exchange = { step: { ...filled, path }, old: await old.send({ ...step, path }), new: answers[1] };
      observations.push(observeRedirect({ ...exchange, old: answers[0] }));
    }
    const { observations: found, masked } = await this.#judge(exchange);
    observations.push(...found);
    for (const name of masked) this.masked.set(name, (this.masked.get(name) ?? 0) + 1);
    const saved: [Answer, Answer] = [exchange.old, exchange.new];
    if (step.save && saved.every(({ status }) => status === 200)) {
      saveValues(step.save, [old, now], saved, this.#context.pairs);
    }
    return observations;
  }

  /** Judges an exchange. Reads the old list again if the old backend's own reads may explain a difference. */
  async #judge(exchange: Exchange) {
    const { old, new: now } = this.options;
    const id = readTaskId(exchange);
    if (id !== undefined) this.#readTasks.add(id);
    const judgement = judge(exchange, this.#context);
    if (!mayBeOwnRead(judgement, exchange, this.#readTasks)) return judgement;
    this.#readTasks.clear();
    for (const [id, change] of await findOwnChanges(old, now, this.survey.before)) {
      this.survey.facts.ownChanges.set(id, change);
    }
    return judge(exchange, this.#context);
  }

  /** Sends the requests of a case in order, without the saved ids of earlier cases. */
  async runCase(steps: Case): Promise<Observation[]> {
    for (const { variables } of [this.options.old, this.options.new]) {
      variables.set("task", unknownTask).set("user", unknownUser);
    }
    const observations: Observation[] = [];
    for (const step of steps) observations.push(...await this.exchange(step));
    return observations;
  }

  /** Adds observations to the findings. */
  add(
    observations: Observation[],
    from: Finding["from"],
    example: Case,
    onNew?: (key: string) => void,
  ): void {
    for (const one of observations) {
      const key = keyOf(one);
      const known = this.found.get(key);
      if (known) known.count++;
      else {
        const { route, rule, difference } = one;
        const finding: Finding = { route, ...difference, ...(rule ? { rule } : {}), count: 1, from, example };
        this.found.set(key, finding);
        onNew?.(key);
      }
    }
  }

  /** Sends the requests of a recording in order, since later ones need values from earlier ones. @returns skipped requests */
  async runRecorded(calls: RecordedCall[], withWrites: boolean, onDone: () => void): Promise<number> {
    let skipped = 0;
    for (const { step, isWrite } of calls) {
      if (this.isStopped) break;
      const needsValue = namesIn(step).some((name) =>
        !this.options.old.variables.has(name) && !this.#recordedNames.has(name)
      );
      if (isWrite && !withWrites || needsValue) skipped++;
      else {
        const observations = await this.exchange(step);
        for (const name of Object.keys(step.save ?? {})) this.#recordedNames.add(name);
        const fresh: string[] = [];
        this.add(observations, "recorded", [step], (key) => fresh.push(key));
        // A repeated write would find other data, so only reads are shrunk.
        if (!isWrite) {
          for (const key of fresh) await this.simplify(key);
        }
      }
      onDone();
    }
    return skipped;
  }

  /** Removes parts of the request as long as the difference remains. */
  async simplify(key: string): Promise<void> {
    const finding = this.found.get(key)!;
    if (finding.rule !== undefined) return;
    let left = shrinkRequestsMax;
    for (let isSmaller = true; isSmaller && !this.isStopped;) {
      isSmaller = false;
      for (const step of smallerSteps(finding.example[0]!)) {
        if (left-- <= 0) return;
        const same = (await this.exchange(step)).find((observations) => keyOf(observations) === key);
        if (!same) continue;
        Object.assign(finding, { old: same.difference.old, new: same.difference.new, example: [step] });
        isSmaller = true;
        break;
      }
    }
  }

  /** Lets fast-check shrink the case of its run `index` as long as the difference remains. */
  async shrink(key: string, cases: fc.Arbitrary<Case>, index: number): Promise<void> {
    const finding = this.found.get(key)!;
    let left = shrinkRequestsMax;
    const property = fc.asyncProperty(cases, async (steps) => {
      if (left <= 0 || this.isStopped) return true;
      left -= steps.length;
      const same = (await this.runCase(steps)).find((observations) => keyOf(observations) === key);
      // fast-check continues from the last failing case, so the last one is kept.
      if (same) {
        Object.assign(finding, { old: same.difference.old, new: same.difference.new, example: steps });
      }
      return !same;
    });
    await fc.check(property, { seed: this.options.seed, numRuns: 1, path: String(index), verbose: 0 });
    // A request that creates an object is not simplified, since it might then create something else.
    if (finding.example.length === 1 && !finding.example[0]!.save) await this.simplify(key);
  }
}

/**
 * Sends recorded and generated requests to both backends and collects the differences. The same seed and data give the
 * same requests.
 */
export async function runShadow(options: Options): Promise<Result> {
  const { runs, seed, recorded, withWrites, onProgress } = options;
  const surveyed = await survey(options.old, options.new);
  const run = new ShadowRun(options, surveyed);
  let done = 0;
  const tick = () => onProgress?.(++done, runs + recorded.length);
  const skipped = await run.runRecorded(recorded, withWrites, tick);

  const cases = createCases(surveyed.known, withWrites);
  const firstCases = new Map<string, number>();
  let index = -1;
  const property = fc.asyncProperty(cases, async (steps) => {
    index++;
    if (run.isStopped) return;
    const at = index;
    run.add(await run.runCase(steps), "generated", steps, (key) => firstCases.set(key, at));
    tick();
  });
  if (runs > 0) await fc.assert(property, { seed, numRuns: runs });
  const unexplained = [...firstCases].filter(([key]) => run.found.get(key)!.rule === undefined);
  for (const [key, at] of unexplained.slice(0, shrunkMax)) await run.shrink(key, cases, at);
  return {
    seed,
    requests: run.requests,
    skipped,
    masked: run.masked,
    findings: [...run.found.values()],
    isComplete: !run.isStopped,
  };
}
