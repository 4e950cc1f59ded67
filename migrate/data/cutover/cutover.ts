/**
 * The cut-over: drain → compare → hold → freeze → catch up → recheck → back on → switch → start. The switch is the one
 * irrevocable line. A failure or a kill before it leaves the source in charge, and `undo()` removes what is left.
 */
import { wait } from "../../../wait.ts";
import type { Collection } from "../documents/source.ts";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { AppError } from "../../../errors.ts";
import { isCaptureEnabled } from "../back/capture.ts";
import { findFollow } from "../sync/state.ts";
import { failpoint } from "../tools/failpoint.ts";
import type { SwitchContext } from "./context.ts";
import { askProxy, freeze, pointProxy } from "./freeze.ts";
import { requireReady } from "./gate.ts";
import { Hold } from "./hold.ts";
import {
  beginCutover,
  type CutoverKind,
  endCutover,
  findRunningCutover,
  unfinishedError,
} from "./journal.ts";
import type { SwitchOptions } from "./options.ts";
import { type DifferentDocument, Recheck, requireEqual } from "./recheck.ts";
import { startTarget } from "./start.ts";
import { type Detail, type RunningStep, Steps } from "./steps.ts";
import { type CellUnderWay, listUnderWay } from "./stop_work.ts";
import { explainLock, makeSwitch, rehearseSwitch, type SwitchRequest } from "./switch.ts";
import { isSwitched, undo } from "./undo.ts";
import { setWriteBlock } from "../sources/write_block.ts";

const lookMs = 20;
const drainLookMs = 500;
/** How often a rehearsal compares documents again that the old executor changes meanwhile. */
const settlingsMax = 20;
/** Cells under way that are listed. */
const listedMax = 100;

/** What a cut-over or rehearsal reports. */
export interface CutoverResult {
  id: number;
  kind: CutoverKind;
  /** Milliseconds for which writes were held. */
  pause_ms: number;
  pause_predicted_ms: number | null;
  /** Milliseconds of each step. */
  steps: Record<string, number>;
  documents_rechecked: number;
  /** Cells that the old executor had under way at the freeze: each may be drawn and paid for a second time. */
  under_way: CellUnderWay[];
  /** All of them; the list ends after a hundred. */
  under_way_total: number;
  start: Detail;
  next_command: string;
}

class Cutover {
  readonly #steps: Steps;
  #recheck: Recheck | undefined;
  #hold: Hold | undefined;
  #frozenAt = 0n;
  #pauseMs = 0;
  #underWay: { cells: CellUnderWay[]; total: number } = { cells: [], total: 0 };

  constructor(
    readonly context: SwitchContext,
    readonly options: SwitchOptions,
    readonly id: number,
    readonly kind: "cutover" | "rehearsal",
  ) {
    this.#steps = new Steps(context.pool, id, context.onNote);
  }

  async run(predictedMs: number | null): Promise<CutoverResult> {
    const { context, id, kind } = this;
    try {
      await this.#beforeSwitch();
    } catch (error) {
      const explained = await explainLock(context.pool, "cutting over", error);
      if (!await this.#recover(explained)) throw explained;
    } finally {
      await this.#hold?.[Symbol.asyncDispose]();
      await this.#recheck?.[Symbol.asyncDispose]().catch(() => {});
    }
    if (kind === "cutover") {
      await pointProxy(context, this.#steps, this.options.proxy, "new");
      if (this.options.proxy.way !== "front") this.#pauseMs = this.#hold!.elapsedMs;
    }
    const start = kind === "cutover" ? await startTarget(context, this.#steps, this.options) : {};
    const pauses = { pauseMs: this.#pauseMs, predictedMs };
    if (kind === "cutover") await endCutover(context.pool, id, "done", pauses);
    failpoint("cutover.ended");
    return {
      id,
      kind,
      pause_ms: Math.round(this.#pauseMs),
      pause_predicted_ms: predictedMs === null ? null : Math.round(predictedMs),
      steps: Object.fromEntries([...this.#steps.durations].map(([step, ms]) => [step, Math.round(ms)])),
      documents_rechecked: this.#recheck?.compared ?? 0,
      under_way: this.#underWay.cells,
      under_way_total: this.#underWay.total,
      start,
      next_command: kind === "cutover"
        ? "deno task migrate data back --to mongodb"
        : "deno task migrate data cutover",
    };
  }

  async #beforeSwitch(): Promise<void> {
    const { context, options, kind } = this;
    if (options.drainMs !== null && kind === "cutover") {
      await this.#steps.run("drain", {}, () => this.#drain(options.drainMs!));
    }
    await this.#steps.run("compare", {}, () => this.#compare());
    const traffic = await readTraffic(context.pool);
    const before = {
      phase: traffic.phase,
      share: traffic.share,
      version: traffic.version + 1,
      proxy: options.proxy,
    };
    await this.#steps.run("hold", before, async () => {
      const reason = `${kind} ${this.id}`;
      const { pauseMsMax } = options;
      this.#hold = await Hold.begin(context.pool, traffic, { by: context.by, reason, pauseMsMax });
      await askProxy(context, options.proxy, "hold");
      await this.#hold.waitInForce();
      return {};
    });
    const way = kind === "cutover" ? options.freeze : null;
    await this.#steps.run("freeze", { way }, () => this.#freeze());
    await this.#steps.run("catch_up", {}, () => this.#catchUp());
    await this.#steps.run("recheck", {}, async () => {
      requireEqual(await this.#settle(await this.#recheck!.catchUp(this.#frozenAt)));
      this.#check();
      return { compared: this.#recheck!.compared };
    });
    await this.#steps.run("back_on", {}, () => this.#checkBack());
    await this.#steps.run("switch", {}, (running) => this.#switch(running));
    this.#pauseMs = this.#hold!.elapsedMs;
  }

  #check(): void {
    if (this.context.signal.aborted) {
      throw new AppError("interrupted", "cutting over: stopped on request; everything is as before");
    }
    this.#hold?.check();
  }

  /** Waits until the old executor has no running work, up to a time limit. */
  async #drain(drainMs: number): Promise<Detail> {
    const subtasks = this.context.source.db.collection("dramatiq_tasks" satisfies Collection);
    const until = performance.now() + drainMs;
    while (true) {
      const left = await subtasks.countDocuments({ status: "processing" });
      if (left === 0 || performance.now() > until) return { left };
      this.#check();
      await wait(drainLookMs);
    }
  }

  /** Compares what changed since the last full verification, while both sides still change. */
  async #compare(): Promise<Detail> {
    const { context } = this;
    const [row] = await context.pool<{ since: number; fingerprint: string }[]>`
      select extract(epoch from v.started_at)::float8 as since, v.fingerprint
      from migration.live_verifications v
      join migration.follows f using (fingerprint)
      where v.verdict = 'equal'
      order by v.id desc
      limit 1`;
    if (row === undefined) throw new AppError("conflict", "cutting over: there is no equal verification");
    this.#recheck = await Recheck.open(context, row.fingerprint, row.since);
    await this.#recheck.catchUp();
    return { compared: this.#recheck.compared };
  }

  async #freeze(): Promise<Detail> {
    const { context, options, kind } = this;
    // A rehearsal blocks nothing, since the old executor would lose results: it measures the same command.
    if (kind === "cutover") await freeze(context, options.freeze);
    else if (options.freeze.way === "mongodb") await setWriteBlock(context.source.client, false);
    this.#frozenAt = await context.source.clusterPosition();
    this.#check();
    return { position: String(this.#frozenAt) };
  }

  /** Waits until the sync has applied everything up to the freeze. */
  async #catchUp(): Promise<Detail> {
    while (true) {
      const follow = await findFollow(this.context.pool);
      if (follow?.state !== "following") {
        throw new AppError("conflict", `catching up: the sync is in state '${follow?.state}'`);
      }
      if (BigInt(follow.position ?? 0) >= this.#frozenAt) {
        this.#underWay = await listUnderWay(this.context.pool, listedMax);
        return { position: follow.position, under_way: this.#underWay.total };
      }
      this.#check();
      await wait(lookMs);
    }
  }

  /**
   * Compares documents that differ again, when everything up to now is applied: in a rehearsal MongoDB is not blocked, and
   * the old executor goes on writing.
   */
  async #settle(found: DifferentDocument[]): Promise<DifferentDocument[]> {
    let different = found;
    for (let i = 0; this.kind === "rehearsal" && different.length > 0 && i < settlingsMax; i++) {
      this.#frozenAt = await this.context.source.clusterPosition();
      await this.#catchUp();
      different = await this.#recheck!.compareAgain();
    }
    return different;
  }

  /** The reverse sync begins with the switch, whose transaction enables the capture. */
  async #checkBack(): Promise<Detail> {
    const { pool } = this.context;
    if (await isCaptureEnabled(pool)) {
      throw new AppError("conflict", "switching: changes are captured already");
    }
    this.#check();
    return {};
  }

  async #switch({ number }: RunningStep): Promise<Detail> {
    const { context, id, kind } = this;
    this.#check();
    const request: SwitchRequest = {
      cutover: id,
      step: number,
      version: this.#hold!.version,
      frozenAt: this.#frozenAt,
      by: context.by,
    };
    // A renewal would wait for the lock of the switch.
    this.#hold!.stopRenewing();
    if (kind === "rehearsal") {
      await rehearseSwitch(context.pool, request);
      return {};
    }
    await makeSwitch(context.pool, request);
    failpoint("switch.committed");
    return {};
  }

  /** After an error: the switch was made all the same, or everything is undone. @returns whether it was made */
  async #recover(error: unknown): Promise<boolean> {
    const { context, id } = this;
    this.#hold?.stopRenewing();
    if (await isSwitched(context.pool, id)) return true;
    await undo(context, { id }, "failed", (error as Error).message);
    return false;
  }

  /** Undoes a rehearsal, and stores what it predicts. */
  async finishRehearsal(): Promise<void> {
    const { context, id } = this;
    await undo(context, { id }, "undone", null);
    await context.pool`
      update migration.cutovers
      set state = 'done', pause_ms = ${Math.round(this.#pauseMs)}
      where id = ${id}`;
  }
}

/** @throws AppError conflict when an earlier one was killed */
async function requireNoneRunning({ pool }: SwitchContext, action: string): Promise<void> {
  if (await findRunningCutover(pool)) throw unfinishedError(action);
}

/**
 * Cuts over.
 *
 * @throws AppError conflict (not ready, or something changed meanwhile), busy, differences_found; everything is as before
 */
export async function cutOver(context: SwitchContext, options: SwitchOptions): Promise<CutoverResult> {
  await requireNoneRunning(context, "cutting over");
  const { predictedMs } = await requireReady(context, options);
  failpoint("cutover.gate_passed");
  const id = await beginCutover(context.pool, "cutover", context.by, options);
  failpoint("cutover.begun");
  return await new Cutover(context, options, id, "cutover").run(predictedMs);
}

/** Does everything but the switch and the block of MongoDB, undoes it, and tells how long the writes had to wait. */
export async function rehearse(context: SwitchContext, options: SwitchOptions): Promise<CutoverResult> {
  await requireNoneRunning(context, "rehearsing");
  await requireReady(context, options);
  const id = await beginCutover(context.pool, "rehearsal", context.by, options);
  const rehearsal = new Cutover(context, options, id, "rehearsal");
  const result = await rehearsal.run(null);
  await rehearsal.finishRehearsal();
  return result;
}
