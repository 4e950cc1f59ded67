/** Named steps of a demo: each prints its name and its duration. */
import { AppError } from "../../errors.ts";
import { print } from "../../process.ts";

/** Runs a named step of a demo. */
export type Step = <T>(name: string, work: () => Promise<T>) => Promise<T>;

/** Returns a function that runs a named step and prints its duration. After the signal is aborted, no step starts. */
export function createSteps(signal: AbortSignal): Step {
  return async (name, work) => {
    if (signal.aborted) {
      throw new AppError("interrupted", "demo: interrupted; all its processes are stopped");
    }
    print(`▸ ${name}`);
    const start = performance.now();
    const result = await work();
    print(`  done in ${((performance.now() - start) / 1000).toFixed(1)} s`);
    return result;
  };
}

/** @throws AppError internal that says what failed */
export function expect(condition: boolean, failure: string): void {
  if (!condition) throw new AppError("internal", `checking the demo: ${failure}`);
}
