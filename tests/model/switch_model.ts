/**
 * The switch between two systems as a model: phases, holds, acknowledgements, the freeze and the position. One direction
 * is a cut-over, the other a rollback: `from` is the system in charge at first, `to` the other one. docs/switch-model.md
 * explains the model.
 */
import type { Action, Model } from "./checker.ts";

/** What keeps the switch safe. Each can be removed. */
export interface SwitchGuards {
  /** The switch waits until every process has acknowledged the hold. */
  acknowledged: boolean;
  /** The switch waits until no process has a write in flight. */
  inFlight: boolean;
  /** A process whose knowledge is too old admits no write. */
  confirmed: boolean;
  /** A process counts as gone only after its knowledge has become too old. */
  goneLater: boolean;
  /** Writes to `from` are blocked: before the last position is taken (cut-over), or by the switch itself (rollback). */
  freeze: boolean;
  /** The switch waits until everything is applied; a rollback checks it once more in its switch. */
  position: boolean;
  /** The switch happens only while its own hold is still in force. */
  holdChecked: boolean;
  /** A failed switch unblocks `from`, and a hold that ends by itself puts `from` in charge. */
  undone: boolean;
}

export const allGuards: SwitchGuards = {
  acknowledged: true,
  inFlight: true,
  confirmed: true,
  goneLater: true,
  freeze: true,
  position: true,
  holdChecked: true,
  undone: true,
};

type Phase = "from" | "holding" | "to";

/** An API process. */
interface Process {
  known: Phase;
  /** Its last look at the phase is recent enough. */
  confirmed: boolean;
  connected: boolean;
  /** The system to which its write is on its way. */
  write: "none" | "from" | "to";
}

/** How far the process that switches has come. `dead`: it was killed and nobody has cleaned up. */
type Switcher = "idle" | "holding" | "frozen" | "caught up" | "done" | "dead";

export interface SwitchState {
  phase: Phase;
  processes: Process[];
  switcher: Switcher;
  blocked: boolean;
  /** Acknowledged writes of `from` that are not applied to `to` yet: 0 to 2. */
  unapplied: number;
  writesLeft: number;
  faultsLeft: number;
  attemptsLeft: number;
  /** An acknowledged write by a system that was not in charge. */
  strayed: boolean;
  /** A write that failed although nothing was at fault. */
  refused: boolean;
  faulted: boolean;
}

export interface SwitchSetting {
  direction: "cutover" | "rollback";
  guards: SwitchGuards;
  processes: number;
  writes: number;
  faults: number;
}

const copy = (s: SwitchState): SwitchState => ({ ...s, processes: s.processes.map((p) => ({ ...p })) });

type Change = (s: SwitchState) => boolean | void;

const action = (name: string, kind: Action<SwitchState>["kind"], change: Change): Action<SwitchState> => ({
  name,
  kind,
  next: (state) => {
    const s = copy(state);
    return change(s) === false ? [] : [s];
  },
});

const fault = (name: string, change: Change) =>
  action(name, "fault", (s) => {
    if (s.faultsLeft === 0 || change(s) === false) return false;
    s.faultsLeft--;
    s.faulted = true;
  });

/** Actions of an API process. */
function processActions(id: number, guards: SwitchGuards): Action<SwitchState>[] {
  const on = (change: (s: SwitchState, p: Process) => boolean | void): Change => (s) =>
    change(s, s.processes[id]!);
  const admit = on((s, p) => {
    if (s.writesLeft === 0 || p.write !== "none" || p.known === "holding") return false;
    if (guards.confirmed && !p.confirmed) return false;
    p.write = p.known;
    s.writesLeft--;
  });
  const writeFrom = on((s, p) => {
    if (p.write !== "from") return false;
    p.write = "none";
    if (s.blocked) {
      if (!s.faulted) s.refused = true;
      return;
    }
    if (s.phase === "to") s.strayed = true;
    s.unapplied++;
  });
  const writeTo = on((s, p) => {
    if (p.write !== "to") return false;
    p.write = "none";
    if (s.phase !== "to") s.strayed = true;
  });
  const look = on((s, p) => {
    if (!p.connected || (p.known === s.phase && p.confirmed)) return false;
    p.known = s.phase;
    p.confirmed = true;
  });
  return [
    action(`process ${id}: admits a write`, "request", admit),
    action(`process ${id}: its write reaches the system in charge at first`, "step", writeFrom),
    action(`process ${id}: its write reaches the other system`, "step", writeTo),
    action(`process ${id}: looks at the phase`, "step", look),
    action(
      `process ${id}: its knowledge becomes too old`,
      "step",
      on((_, p) => {
        if (p.connected || !p.confirmed) return false;
        p.confirmed = false;
      }),
    ),
    fault(
      `process ${id}: is cut off, or stands still`,
      on((_, p) => {
        if (!p.connected) return false;
        p.connected = false;
      }),
    ),
    action(
      `process ${id}: is back`,
      "step",
      on((_, p) => {
        if (p.connected) return false;
        p.connected = true;
      }),
    ),
  ];
}

/** Reports whether the hold is in force at every process that is not gone. */
function isHeld({ processes }: SwitchState, guards: SwitchGuards): boolean {
  return processes.every((p) => {
    const isGone = !p.connected && (!p.confirmed || !guards.goneLater);
    if (isGone) return true;
    return (!guards.acknowledged || p.known === "holding") && (!guards.inFlight || p.write === "none");
  });
}

/** Puts `from` back in charge. */
function undo(s: SwitchState): void {
  s.blocked = false;
  s.phase = "from";
  s.switcher = "idle";
}

/** Actions of the process that switches, and of the hold that ends by itself. */
function switchActions({ guards, direction }: SwitchSetting): Action<SwitchState>[] {
  const isRollback = direction === "rollback";
  return [
    action("switch: holds the writes", "step", (s) => {
      if (s.switcher !== "idle" || s.attemptsLeft === 0 || s.phase !== "from") return false;
      s.attemptsLeft--;
      s.phase = "holding";
      s.switcher = "holding";
    }),
    action("switch: freezes", "step", (s) => {
      if (s.switcher !== "holding" || !isHeld(s, guards)) return false;
      if (guards.freeze && !isRollback) s.blocked = true;
      s.switcher = "frozen";
    }),
    action("sync: applies a change", "step", (s) => {
      if (s.unapplied === 0 || s.phase === "to") return false;
      s.unapplied--;
    }),
    action("switch: has caught up", "step", (s) => {
      if (s.switcher !== "frozen" || (guards.position && s.unapplied > 0)) return false;
      s.switcher = "caught up";
    }),
    action("switch: switches", "step", (s) => {
      if (s.switcher !== "caught up" || (guards.holdChecked && s.phase !== "holding")) return false;
      if (isRollback && guards.position && s.unapplied > 0) return false;
      if (isRollback && guards.freeze) s.blocked = true;
      s.phase = "to";
      s.switcher = "done";
    }),
    action("switch: gives up and undoes", "step", (s) => {
      if (s.switcher === "idle" || s.switcher === "done" || (s.switcher === "dead" && !guards.undone)) {
        return false;
      }
      undo(s);
    }),
    fault("switch: is killed", (s) => {
      if (s.switcher === "idle" || s.switcher === "done" || s.switcher === "dead") return false;
      s.switcher = "dead";
    }),
    fault("the hold ends by itself", (s) => {
      if (s.phase !== "holding" || !guards.undone) return false;
      s.phase = "from";
    }),
  ];
}

/** Returns the model of a switch. */
export function switchModel(setting: SwitchSetting): Model<SwitchState> {
  const { guards, processes, writes, faults } = setting;
  const start: SwitchState = {
    phase: "from",
    processes: Array.from({ length: processes }, () => ({
      known: "from",
      confirmed: true,
      connected: true,
      write: "none",
    })),
    switcher: "idle",
    blocked: false,
    unapplied: 0,
    writesLeft: writes,
    faultsLeft: faults,
    attemptsLeft: 2,
    strayed: false,
    refused: false,
    faulted: false,
  };
  return {
    start,
    key: (s) => JSON.stringify(s),
    actions: [...start.processes.flatMap((_, id) => processActions(id, guards)), ...switchActions(setting)],
    states: [
      { name: switchRules.charge, holds: (s) => !s.strayed },
      { name: switchRules.lost, holds: (s) => s.phase !== "to" || s.unapplied === 0 },
      { name: switchRules.refused, holds: (s) => !s.refused },
    ],
    moves: [{ name: switchRules.final, holds: (from, to) => from.phase !== "to" || to.phase === "to" }],
    goal: {
      name: switchRules.stuck,
      holds: (s) => s.phase === "to" || (s.phase === "from" && !s.blocked && s.switcher === "idle"),
    },
  };
}

export const switchRules = {
  charge: "only the system in charge acknowledges writes",
  lost: "every acknowledged write is applied before the switch",
  refused: "no write fails unless something is at fault",
  final: "a switch is not taken back by the same switch",
  stuck: "one of the systems can still be put in charge",
} as const;
