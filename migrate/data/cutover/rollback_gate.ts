/** Checks before the way back to the old backend. */
import { readWayBack, type WayBack } from "../../../db/migration/following.ts";
import { findBack } from "../back/state.ts";
import { listFrontProcesses } from "../../../db/traffic/processes.ts";
import { readTraffic } from "../../../db/traffic/traffic.ts";
import { counted } from "../../../phrases.ts";
import { formatSpan } from "../tools/format.ts";
import { applyRules, type Check, type Rule, verdict } from "./check.ts";
import type { SwitchContext } from "./context.ts";
import { readAcceptances, saveAcceptances } from "./decisions.ts";
import { findOldFault } from "./gate_outside.ts";
import { type Gate, notReady } from "./gate.ts";
import { checkFronts } from "./gate_target.ts";
import type { SwitchOptions } from "./options.ts";

const lagSecondsMax = 10;

interface RollbackFacts {
  phase: string;
  wayBack: WayBack;
  identityFault: string | undefined;
  oldFault: string | undefined;
  unacknowledged: string[];
  processes: number;
  options: SwitchOptions;
}

async function readFacts(context: SwitchContext, options: SwitchOptions): Promise<RollbackFacts> {
  const { pool, source } = context;
  const { phase, version } = await readTraffic(pool);
  const back = await findBack(pool);
  const processes = await listFrontProcesses(pool);
  return {
    phase,
    wayBack: await readWayBack(pool),
    identityFault: back === undefined || back.target_identity === source.identity
      ? undefined
      : `found '${source.identity}', written to '${back.target_identity}'`,
    oldFault: await findOldFault(context),
    unacknowledged: processes.filter(({ acknowledged }) => acknowledged < version).map(({ host, pid }) =>
      `${host}:${pid}`
    ),
    processes: processes.length,
    options,
  };
}

const rules: Rule<RollbackFacts>[] = [
  {
    name: "phase_new",
    check: ({ phase }) => verdict(phase === "new", `'${phase}'`, "the old backend is in charge already"),
  },
  {
    name: "capture_on",
    check: ({ wayBack: { is_captured } }) =>
      verdict(
        is_captured,
        is_captured ? "changes are captured" : "changes were not captured",
        "there is no way back without loss: 'back --verify' tells the differences",
      ),
  },
  {
    name: "back_running",
    check: ({ wayBack: { process } }) =>
      verdict(
        process !== null,
        process?.holder ?? "no process",
        "start 'deno task migrate data back --to mongodb'",
      ),
  },
  {
    name: "back_not_stopped",
    check: ({ wayBack: { stop_reason } }) =>
      verdict(stop_reason === null, stop_reason ?? "it goes on", "mend the cause, and start it again"),
  },
  {
    name: "back_lag",
    check: ({ wayBack: { lag_seconds, changes } }) =>
      verdict(
        (lag_seconds ?? 0) < lagSecondsMax,
        `${counted(changes, "change")}, the oldest ${formatSpan(lag_seconds ?? 0)} old`,
        "wait until 'back' has written them; it names rows that MongoDB refuses",
      ),
  },
  {
    name: "source_identity",
    check: ({ identityFault }) =>
      verdict(identityFault === undefined, identityFault ?? "the one that is written to", "name that one"),
  },
  {
    name: "old_backend_up",
    check: ({ oldFault }) =>
      verdict(
        oldFault === undefined,
        oldFault ?? "it answers",
        "start the old backend, or correct LEGACY_API_URL",
      ),
  },
  {
    name: "process_present",
    check: ({ processes, options: { proxy } }) => checkFronts(processes, proxy),
  },
  {
    name: "process_acknowledged",
    check: ({ unacknowledged }) =>
      verdict(unacknowledged.length === 0, unacknowledged.join(", ") || "all", "look at these processes"),
  },
];

/** Checks everything. */
export async function readRollbackGate(context: SwitchContext, options: SwitchOptions): Promise<Gate> {
  await saveAcceptances(context, options.accept);
  const { names } = await readAcceptances(context.pool);
  const checks: Check[] = applyRules(rules, await readFacts(context, options), "", names);
  return { isReady: checks.every(({ state }) => state === "ready" || state === "accepted"), checks };
}

/** @throws AppError conflict */
export async function requireRollbackReady(context: SwitchContext, options: SwitchOptions): Promise<void> {
  const { isReady, checks } = await readRollbackGate(context, options);
  if (!isReady) throw notReady("going back", checks);
}
