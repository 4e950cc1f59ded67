/** Runs steps of a cut-over or rollback with their journal. */
import type { Pool } from "../../../db/pg/connect.ts";
import { failpoint, type SwitchStep } from "../tools/failpoint.ts";
import { beginStep, endStep } from "./journal.ts";

export type Detail = Record<string, unknown>;

/** What a step was given to work with: its number in the journal. */
export interface RunningStep {
  number: number;
}

export class Steps {
  /** Milliseconds that each step took. */
  readonly durations = new Map<SwitchStep, number>();

  constructor(readonly pool: Pool, readonly id: number, readonly onStep: (line: string) => void) {}

  /**
   * Runs a step. The journal has it before it begins, and after it has ended.
   *
   * @param before what its undo needs to know
   */
  async run(
    step: SwitchStep,
    before: Detail,
    work: (running: RunningStep) => Promise<Detail>,
  ): Promise<Detail> {
    const { pool, id } = this;
    const number = await beginStep(pool, id, step, before);
    failpoint(`${step}.begun`);
    const started = performance.now();
    let detail: Detail;
    try {
      detail = await work({ number });
    } catch (error) {
      await endStep(pool, id, number, "failed", { error: (error as Error).message }).catch(() => {});
      throw error;
    }
    const ms = performance.now() - started;
    this.durations.set(step, ms);
    await endStep(pool, id, number, "done", Object.assign({ ms: Math.round(ms) }, detail));
    failpoint(`${step}.done`);
    this.onStep(`${step}: ${Math.round(ms)} ms`);
    return detail;
  }
}
