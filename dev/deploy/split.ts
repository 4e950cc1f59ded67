/** Moves the share of this system step by step, and back to 0 when it answers more errors than the old backend. */
import type { Counts, ProxyControl } from "./proxy.ts";

/** Shares in percent. */
export const steps = [1, 5, 25, 50, 100] as const;

/** Requests of this system that a judgement needs. */
export const requestsMin = 20;

export interface SplitOptions {
  proxy: ProxyControl;
  /** The last share, in percent. */
  to: number;
  /** Time at each share, in milliseconds. */
  holdMs: number;
  /** How much higher the share of errors may be than that of the old backend, in percent. */
  errorsMax: number;
  /** Time between two looks at the counts. */
  lookMs?: number;
  onStep: (percent: number) => void;
  signal: AbortSignal;
}

/** What happened. */
export interface SplitResult {
  share: number;
  /** Why the share was set to 0; undefined if it was not. */
  rolledBack?: string;
}

const percentOf = ({ requests, errors }: { requests: number; errors: number }): number =>
  requests === 0 ? 0 : 100 * errors / requests;

const subtract = (now: Counts, before: Counts): Counts => ({
  old: { requests: now.old.requests - before.old.requests, errors: now.old.errors - before.old.errors },
  new: { requests: now.new.requests - before.new.requests, errors: now.new.errors - before.new.errors },
});

/**
 * Judges the answers since a step.
 *
 * @returns why the step must be undone, or undefined
 *
 * @example
 * ```ts
 * import { judge } from "./split.ts";
 * const old = { requests: 900, errors: 9 };
 * if (judge({ old, new: { requests: 100, errors: 1 } }, 2) !== undefined) throw new Error("both have 1 %");
 * if (judge({ old, new: { requests: 100, errors: 9 } }, 2) === undefined) throw new Error("9 % is too much");
 * ```
 */
export function judge(since: Counts, errorsMax: number): string | undefined {
  if (since.new.requests < requestsMin) return undefined;
  const [here, there] = [percentOf(since.new), percentOf(since.old)];
  if (here <= there + errorsMax) return undefined;
  return `${since.new.errors} of ${since.new.requests} answers of this system are errors (${
    here.toFixed(1)
  } %), ` +
    `of the old backend ${there.toFixed(1)} %`;
}

const wait = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });

/** Raises the share. An abort leaves it where it is. */
export async function raiseShare(options: SplitOptions): Promise<SplitResult> {
  const { proxy, to, holdMs, errorsMax, lookMs = 1000, onStep, signal } = options;
  const shares = to === 0 ? [0] : [...steps.filter((step) => step < to), to];
  let share = 0;
  for (const next of shares) {
    if (signal.aborted) break;
    const before = await proxy.readCounts();
    await proxy.setShare(next);
    share = next;
    onStep(share);
    const until = performance.now() + (to === 0 ? 0 : holdMs);
    while (performance.now() < until && !signal.aborted) {
      await wait(Math.min(lookMs, until - performance.now()), signal);
      const rolledBack = judge(subtract(await proxy.readCounts(), before), errorsMax);
      if (rolledBack === undefined) continue;
      await proxy.setShare(0);
      return { share: 0, rolledBack };
    }
  }
  return { share };
}
