/** The stages with traffic: shadow, canary, rehearsal, cut-over, watch, finish, and the way back. */
import { AppError } from "../../../errors.ts";
import { disableCapture } from "../back/capture.ts";
import { changePhase } from "../cutover/change_phase.ts";
import { abortCutover, continueCutover } from "../cutover/continue.ts";
import { cutOver, rehearse } from "../cutover/cutover.ts";
import { saveDecision } from "../cutover/decisions.ts";
import { formatContinued, formatCutover, formatRollback } from "../cutover/format.ts";
import { shadowAnswersMin } from "../cutover/gate_target.ts";
import { withCutoverLock } from "../cutover/journal.ts";
import type { SwitchOptions } from "../cutover/options.ts";
import { rollBack } from "../cutover/rollback.ts";
import { isSwitched } from "../cutover/undo.ts";
import { formatCounted, formatSpan } from "../tools/format.ts";
import type { MoveContext, StageName } from "./context.ts";
import { type Facts, findUnfinished, unfinishedName } from "./facts.ts";
import { listOpen, readSoakSeconds, stageChecks } from "./stages.ts";
import { gateChecks, waitUntil } from "./waiting.ts";

/** Lets the front compare answers, and waits until enough are compared. */
export async function runShadow(context: MoveContext): Promise<void> {
  const { switching: { pool, by } } = context;
  const target = await waitUntil(context, "shadow", { checks: gateChecks(stageChecks.front) });
  if (target.traffic.phase === "old") await changePhase(pool, "shadow", { reason: "move: shadow", by });
  await waitUntil(context, "shadow", {
    checks: gateChecks([...stageChecks.front, ...stageChecks.shadow]),
    measure({ checks }) {
      const found = checks.get("shadow_compared")?.found ?? "";
      const done = Math.min(Number(/^\d+/.exec(found)?.[0] ?? 0), shadowAnswersMin);
      return { isDone: true, text: `${found}, wanted ${shadowAnswersMin}`, done, total: shadowAnswersMin };
    },
  });
}

/** Sends the reads of a share of the users here, and waits for a while. */
export async function runCanary(context: MoveContext, { target }: Facts, stage: StageName): Promise<void> {
  const { switching: { pool, by }, settings: { soakMs } } = context;
  const share = Number(stage.slice("canary-".length));
  const { phase, share: now } = target!.traffic;
  if (phase !== "canary" || now < share) {
    await changePhase(pool, "canary", { share, reason: `move: ${stage}`, by });
  }
  await waitUntil(context, stage, {
    checks: gateChecks(stageChecks.front),
    measure(state) {
      const seconds = readSoakSeconds(state, share);
      if (seconds === undefined) {
        throw new AppError(
          "conflict",
          `move: somebody changed the traffic meanwhile; it is '${state.traffic.phase}'`,
        );
      }
      const left = soakMs / 1000 - seconds;
      return {
        isDone: left <= 0,
        text: `${share} % of the users read here, ${formatSpan(Math.max(0, left))} to go`,
      };
    },
  });
}

/** Returns the options with the decision about unfinished work. Asks for it if it was not made. */
async function decideOptions(context: MoveContext, { target }: Facts): Promise<SwitchOptions> {
  const { options, dialogue, switching: { pool, by } } = context;
  const stored = findUnfinished(target!.decisions);
  if (options.unfinished !== null) {
    if (options.unfinished !== stored) {
      await saveDecision(pool, unfinishedName, { decision: options.unfinished }, by);
    }
    return options;
  }
  if (stored !== null) return Object.assign({}, options, { unfinished: stored });
  const check = target!.checks.get("unfinished_decided");
  if (check?.state === "ready") return options;
  if (dialogue.isScript) {
    throw new AppError(
      "conflict",
      `move: somebody must decide first:\n  unfinished_decided: ${check?.found}; ${check?.todo}`,
    );
  }
  const answer = await dialogue.ask(
    `The old backend has ${check?.found}. What happens to them at the cut-over?`,
    { k: "keep them held", r: "resume them here", c: "cancel them" },
  );
  const unfinished = { k: "keep", r: "resume", c: "cancel" } as const;
  await saveDecision(pool, unfinishedName, { decision: unfinished[answer] }, by);
  return Object.assign({}, options, { unfinished: unfinished[answer] });
}

/** Waits until every check of the gate is passed. */
async function waitForGate(context: MoveContext, stage: StageName): Promise<void> {
  await waitUntil(context, stage, { checks: ({ checks }) => listOpen(checks, [...checks.keys()]) });
}

export async function runRehearse(context: MoveContext, facts: Facts): Promise<void> {
  const { switching, dialogue } = context;
  const options = await decideOptions(context, facts);
  await waitForGate(context, "rehearse");
  const result = await withCutoverLock(switching.pool, "rehearsing", () => rehearse(switching, options));
  dialogue.say(formatCutover(result));
}

export async function runCutover(context: MoveContext, facts: Facts): Promise<void> {
  const { switching, dialogue } = context;
  const options = await decideOptions(context, facts);
  await waitForGate(context, "cutover");
  const result = await withCutoverLock(switching.pool, "cutting over", () => cutOver(switching, options));
  dialogue.say(formatCutover(result));
}

/** Waits until the way back runs, and for the time in which one may still go back. */
export async function runWatch(context: MoveContext): Promise<void> {
  const { settings: { watchMs } } = context;
  await waitUntil(context, "watch", {
    checks: (target) => [
      ...listOpen(target.backChecks, stageChecks.watch),
      ...listOpen(target.checks, ["worker_present"]),
    ],
    measure({ traffic, nowMs, wayBack }) {
      const left = watchMs - (nowMs - Date.parse(traffic.changed_at));
      const changes = formatCounted(wayBack.changes, "change");
      return {
        isDone: left <= 0,
        text: `${formatSpan(Math.max(0, left) / 1000)} to go; ${changes} not in MongoDB yet`,
      };
    },
  });
}

/** What a person decides after the watch. */
export type FinishChoice = "finish" | "rollback";

export async function chooseEnd({ dialogue }: MoveContext): Promise<FinishChoice> {
  const answer = await dialogue.ask(
    "Give up the way back? From then on MongoDB gets no changes, and the old backend can be switched off for good.\n" +
      "  Leave with q to keep the way back open.",
    { f: "finish", r: "roll back to the old backend now" },
  );
  return answer === "f" ? "finish" : "rollback";
}

/** Gives up the way back: 'back' has written everything and is stopped, then changes are not captured any more. */
export async function runFinish(context: MoveContext): Promise<void> {
  const { dialogue, switching: { pool } } = context;
  await waitUntil(context, "finish", {
    checks: () => [],
    measure: ({ wayBack: { changes, process } }) => ({
      isDone: changes === 0 || process === null,
      text: `${formatCounted(changes, "change")} not in MongoDB yet`,
    }),
  });
  await waitUntil(context, "finish", {
    checks: () => [],
    measure: ({ wayBack: { process } }) => ({
      isDone: process === null,
      text: `stop 'back' now with Ctrl-C or SIGTERM (process ${process?.holder})`,
    }),
  });
  await disableCapture(pool);
  dialogue.say(
    [
      "the move is finished. What is left for you:",
      "  remove LEGACY_API_URL from the API's settings, and restart the API",
      "  switch off the old backend and its executor, and archive a last dump of MongoDB",
      "  'deno task migrate data report --out FILE' writes the signed report for the archive",
    ].join("\n"),
  );
}

export async function runRollback(context: MoveContext): Promise<void> {
  const { switching, dialogue, options } = context;
  const result = await withCutoverLock(switching.pool, "going back", () => rollBack(switching, options));
  dialogue.say(formatRollback(result));
}

/** Undoes or completes a cut-over or rollback whose process was killed. */
export async function mendKilled(context: MoveContext, id: number): Promise<void> {
  const { switching, dialogue } = context;
  await withCutoverLock(switching.pool, "ending a killed cut-over", async () => {
    if (await isSwitched(switching.pool, id)) {
      dialogue.say(formatContinued(await continueCutover(switching)));
      return;
    }
    const { kind } = await abortCutover(switching);
    dialogue.say(`${kind} ${id}, whose process was killed, is undone: everything is as before`);
  });
}
