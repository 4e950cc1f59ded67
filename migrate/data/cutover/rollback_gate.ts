/** Checks before the way back to the old backend. */
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
import type { SwitchOptions } from "./options.ts";

const lagSecondsMax = 10;

interface RollbackFacts {
  phase: string;
  version: number;
  holder: string | null;
  enabled: boolean;
  /** Changes that MongoDB does not have, and the age of the oldest in seconds. */
  changes: number;
  lag: number;
  stopReason: string | null;
  identityFault: string | undefined;
  oldFault: string | undefined;
  unacknowledged: string[];
  processes: number;
}

async function readFacts(context: SwitchContext): Promise<RollbackFacts> {
  const { pool, source } = context;
  const { phase, version } = await readTraffic(pool);
  const [row] = await pool<{ holder: string | null; enabled: boolean; changes: number; lag: number }[]>`
    select (select holder from leaders where role = 'back' and lease_until > now()) as holder,
      exists (
        select from pg_trigger
        where tgname like '%\\_capture\\_%' and tgenabled <> 'D'
          and tgrelid in ('users'::regclass, 'tasks'::regclass, 'subtasks'::regclass)
      ) as enabled,
      count(*)::float8 as changes, coalesce(extract(epoch from now() - min(at)), 0)::float8 as lag
    from migration.changes`;
  const back = await findBack(pool);
  const processes = await listFrontProcesses(pool);
  return Object.assign(row!, {
    phase,
    version,
    stopReason: back?.stop_reason ?? null,
    identityFault: back === undefined || back.target_identity === source.identity
      ? undefined
      : `found '${source.identity}', written to '${back.target_identity}'`,
    oldFault: await findOldFault(context),
    unacknowledged: processes.filter(({ acknowledged }) => acknowledged < version).map(({ host, pid }) =>
      `${host}:${pid}`
    ),
    processes: processes.length,
  });
}

const rules: Rule<RollbackFacts>[] = [
  {
    name: "phase_new",
    check: ({ phase }) => verdict(phase === "new", `'${phase}'`, "the old backend is in charge already"),
  },
  {
    name: "capture_on",
    check: ({ enabled }) =>
      verdict(
        enabled,
        enabled ? "changes are captured" : "changes were not captured",
        "there is no way back without loss: 'back --verify' tells the differences",
      ),
  },
  {
    name: "back_running",
    check: ({ holder }) =>
      verdict(holder !== null, holder ?? "no process", "start 'deno task migrate data back --to mongodb'"),
  },
  {
    name: "back_not_stopped",
    check: ({ stopReason }) =>
      verdict(stopReason === null, stopReason ?? "it goes on", "mend the cause, and start it again"),
  },
  {
    name: "back_lag",
    check: ({ lag, changes }) =>
      verdict(
        lag < lagSecondsMax,
        `${counted(changes, "change")}, the oldest ${formatSpan(lag)} old`,
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
    check: ({ processes }) =>
      verdict(
        processes > 0,
        counted(processes, "API process", "API processes"),
        "start the API with LEGACY_API_URL",
      ),
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
  const checks: Check[] = applyRules(rules, await readFacts(context), "", names);
  return { isReady: checks.every(({ state }) => state === "ready" || state === "accepted"), checks };
}

/** @throws AppError conflict */
export async function requireRollbackReady(context: SwitchContext, options: SwitchOptions): Promise<void> {
  const { isReady, checks } = await readRollbackGate(context, options);
  if (!isReady) throw notReady("going back", checks);
}
