/** The run: requests go to both, differences are explained by a rule or shrunk to their smallest request. */
import fc from "fast-check";
import { compareAnswers, type Difference, groupPath } from "./compare.ts";
import { type Case, createCases } from "./generate.ts";
import { createNoise, isBodyNoise } from "./masks.ts";
import { unknownTask, unknownUser } from "./parts.ts";
import { type RecordedCall, smallerSteps } from "./recorded.ts";
import { fill, namesIn, routeOf, type Step } from "./request.ts";
import {
  type Exchange,
  type Facts,
  hiddenRule,
  isSlashRedirect,
  ruleFor,
  slashRule,
  withOtherSlash,
  withoutHidden,
} from "./rules.ts";
import type { Answer, Side } from "./side.ts";
import { keep, survey } from "./survey.ts";

export interface Options {
  old: Side;
  new: Side;
  /** A 32-bit whole number. */
  seed: number;
  /** Cases to make up. */
  runs: number;
  withWrites: boolean;
  recorded: RecordedCall[];
  signal?: AbortSignal;
  onProgress?(done: number, total: number): void;
}

/** Differences of one kind at one place of one route. */
export interface Finding extends Difference {
  route: string;
  /** The rule that explains it. */
  rule?: string;
  count: number;
  from: "generated" | "recorded";
  /** The smallest case that shows it. */
  example: Case;
}

export interface Result {
  seed: number;
  requests: number;
  /** Recorded calls left out: they write, or need what one of those made. */
  skipped: number;
  masked: Map<string, number>;
  findings: Finding[];
  isWhole: boolean;
}

/** A clock may be wrong by this much. */
const skewMs = 300_000;
/** Findings that are shrunk, and requests each shrinking may take. */
const shrunkMax = 25;
const shrinkRequestsMax = 150;

interface Seen {
  route: string;
  difference: Difference;
  rule: string | undefined;
}

/** Differences of one key are one finding; a status counts with what it changed from and to. */
function keyOf({ route, difference: { kind, path, old, new: now }, rule }: Seen): string {
  const place = kind === "status" ? `${parseInt(old)} ${parseInt(now)}` : groupPath(path);
  return JSON.stringify([rule ?? "", route, kind, place]);
}

class Shadow {
  readonly sinceMs = Date.now() - skewMs;
  readonly pairs = new Map<string, string>();
  readonly masked = new Map<string, number>();
  readonly found = new Map<string, Finding>();
  requests = 0;
  #recordedNames = new Set<string>();

  constructor(readonly options: Options, readonly facts: Facts) {}

  get isStopped(): boolean {
    return this.options.signal?.aborted ?? false;
  }

  /** Sends one step to both. */
  async exchange(step: Step): Promise<Seen[]> {
    const { old, new: now } = this.options;
    this.requests++;
    const answers: [Answer, Answer] = await Promise.all([old.send(step), now.send(step)]);
    const seen: Seen[] = [];
    const route = routeOf(step);
    const filled = { ...step, path: fill(step.path, old.variables) };
    if (isSlashRedirect({ step: filled, old: answers[0], new: answers[1] })) {
      const difference: Difference = {
        kind: "status",
        path: "",
        old: `${answers[0].status}`,
        new: `${answers[1].status}`,
      };
      seen.push({ route, difference, rule: slashRule });
      answers[0] = await old.send({ ...step, path: withOtherSlash(step.path) });
    }
    const page = withoutHidden({ step: filled, old: answers[0], new: answers[1] }, this.facts);
    if (page) {
      const difference: Difference = {
        kind: "length",
        path: "/data/tasks",
        old: "without them",
        new: "with them",
      };
      seen.push({ route, difference, rule: hiddenRule });
      answers[1] = page;
    }
    if (isBodyNoise(step)) answers.forEach((answer) => answer.body = undefined);
    const exchange: Exchange = { step: filled, old: answers[0], new: answers[1] };
    const noise = createNoise({ ...exchange, sinceMs: this.sinceMs, pairs: this.pairs });
    const { differences, masked } = compareAnswers(...answers, noise, [old.origin, now.origin]);
    for (const name of masked) this.masked.set(name, (this.masked.get(name) ?? 0) + 1);
    for (const difference of differences) {
      seen.push({ route, difference, rule: ruleFor(difference, exchange, this.facts) });
    }
    if (step.save && answers.every(({ status }) => status === 200)) {
      keep(step.save, [old, now], answers, this.pairs);
    }
    return seen;
  }

  /** Sends the steps of a case one after the other; what an earlier case made is forgotten. */
  async runCase(steps: Case): Promise<Seen[]> {
    for (const { variables } of [this.options.old, this.options.new]) {
      variables.set("task", unknownTask).set("user", unknownUser);
    }
    const seen: Seen[] = [];
    for (const step of steps) seen.push(...await this.exchange(step));
    return seen;
  }

  add(seen: Seen[], from: Finding["from"], example: Case, onNew?: (key: string) => void): void {
    for (const one of seen) {
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

  /** A recording from its first call to its last: later calls need what earlier ones made. */
  async runRecorded(calls: RecordedCall[], withWrites: boolean, onDone: () => void): Promise<number> {
    let skipped = 0;
    for (const { step, isWrite } of calls) {
      if (this.isStopped) break;
      const lacks = namesIn(step).some((name) =>
        !this.options.old.variables.has(name) && !this.#recordedNames.has(name)
      );
      if (isWrite && !withWrites || lacks) skipped++;
      else {
        const seen = await this.exchange(step);
        for (const name of Object.keys(step.save ?? {})) this.#recordedNames.add(name);
        const fresh: string[] = [];
        this.add(seen, "recorded", [step], (key) => fresh.push(key));
        // Sending a write again would not meet what it met before.
        if (!isWrite) { for (const key of fresh) await this.simplify(key); }
      }
      onDone();
    }
    return skipped;
  }

  /** Takes one thing after another away from the request for as long as it still shows the same. */
  async simplify(key: string): Promise<void> {
    const finding = this.found.get(key)!;
    if (finding.rule !== undefined) return;
    let left = shrinkRequestsMax;
    for (let isSmaller = true; isSmaller && !this.isStopped;) {
      isSmaller = false;
      for (const step of smallerSteps(finding.example[0]!)) {
        if (left-- <= 0) return;
        const same = (await this.exchange(step)).find((seen) => keyOf(seen) === key);
        if (!same) continue;
        Object.assign(finding, { old: same.difference.old, new: same.difference.new, example: [step] });
        isSmaller = true;
        break;
      }
    }
  }

  /** Lets fast-check shrink the case of its run `index` for as long as it still shows the same. */
  async shrink(key: string, cases: fc.Arbitrary<Case>, index: number): Promise<void> {
    const finding = this.found.get(key)!;
    let left = shrinkRequestsMax;
    const property = fc.asyncProperty(cases, async (steps) => {
      if (left <= 0 || this.isStopped) return true;
      left -= steps.length;
      const same = (await this.runCase(steps)).find((seen) => keyOf(seen) === key);
      // Of a case as small as the last one the later wins: fast-check goes on from it.
      if (same) {
        Object.assign(finding, { old: same.difference.old, new: same.difference.new, example: steps });
      }
      return !same;
    });
    await fc.check(property, { seed: this.options.seed, numRuns: 1, path: String(index), verbose: 0 });
    // A step that makes something is not sent without its parts: it might make something else.
    if (finding.example.length === 1 && !finding.example[0]!.save) await this.simplify(key);
  }
}

/**
 * Sends recorded and made-up requests to both backends and gathers what differs.
 * The same seed over the same data sends the same requests.
 */
export async function runShadow(options: Options): Promise<Result> {
  const { runs, seed, recorded, withWrites, onProgress } = options;
  const { known, facts } = await survey(options.old, options.new);
  const shadow = new Shadow(options, facts);
  let done = 0;
  const tick = () => onProgress?.(++done, runs + recorded.length);
  const skipped = await shadow.runRecorded(recorded, withWrites, tick);

  const cases = createCases(known, withWrites);
  const firstSeen = new Map<string, number>();
  let index = -1;
  const property = fc.asyncProperty(cases, async (steps) => {
    index++;
    if (shadow.isStopped) return;
    const at = index;
    shadow.add(await shadow.runCase(steps), "generated", steps, (key) => firstSeen.set(key, at));
    tick();
  });
  if (runs > 0) await fc.assert(property, { seed, numRuns: runs });
  const unexplained = [...firstSeen].filter(([key]) => shadow.found.get(key)!.rule === undefined);
  for (const [key, at] of unexplained.slice(0, shrunkMax)) await shadow.shrink(key, cases, at);
  return {
    seed,
    requests: shadow.requests,
    skipped,
    masked: shadow.masked,
    findings: [...shadow.found.values()],
    isWhole: !shadow.isStopped,
  };
}
