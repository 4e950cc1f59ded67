/** The next command of a migration, as its stored state tells it. */
import type { Following, LiveVerification, WayBack } from "../../db/migration/following.ts";
import { type GateReading, type JournalEntry, rehearsedSecondsMax } from "../../db/migration/journal.ts";
import type { Traffic } from "../../db/traffic/traffic.ts";

const data = "deno task migrate data ";
const traffic = "deno task migrate traffic";

/** The commands by name, each with what it is for. */
export const nextCommands = {
  move: [`${data}move`, "Start the guide, or go on where it was left."],
  sync: [`${data}sync --from mongodb`, "No process applies changes, and the rows fall behind: start one."],
  restart: [
    `${data}sync --from mongodb --restart`,
    "The sync needs a person: mend what it says, then start it again.",
  ],
  copying: [`${data}status --from mongodb`, "A copy or a comparison is running: see how far it is."],
  verify: [`${data}verify --live --from mongodb`, "Compare all documents while both sides change."],
  shadow: [`${traffic} shadow --reason "…"`, "Compare the answers of both systems."],
  canary: [`${traffic} canary --share 5 --reason "…"`, "Let a few users read from this system."],
  share: [`${traffic} --share 100 --reason "…"`, "Raise the share as long as nobody complains."],
  check: [`${data}cutover --check --unfinished keep`, "Ask the gate. This changes nothing."],
  rehearse: [`${data}rehearse --unfinished keep`, "Rehearse everything but the switch, with its pause."],
  cutover: [`${data}cutover --unfinished keep`, "Cut over. From then on this system answers all writes."],
  abort: [`${data}cutover --abort`, "A switch is under way. Only if its process is gone, undo it."],
  back: [`${data}back --to mongodb`, "Write changes to MongoDB, so that the way back stays open."],
  watch: [
    `${data}back --to mongodb --verify`,
    "This system is in charge. Compare both sides before you give up the way back.",
  ],
  done: [traffic, "The migration is complete."],
} as const satisfies Record<string, readonly [command: string, text: string]>;

export type NextName = keyof typeof nextCommands;

/** Names of all commands. */
export const nextNames = Object.keys(nextCommands) as [NextName, ...NextName[]];

/** The stored state from which the next command is derived. */
export interface NextFacts {
  traffic: Pick<Traffic, "phase" | "share">;
  following: Pick<Following, "state" | "process" | "copied_at"> | undefined;
  verification: Pick<LiveVerification, "verdict"> | undefined;
  gate: Pick<GateReading, "is_ready"> | undefined;
  journal: readonly Pick<JournalEntry, "at" | "kind" | "what">[];
  back: Pick<WayBack, "is_captured" | "process">;
}

/** Returns the name of the next command. */
export function findNext(facts: NextFacts, nowMs: number): NextName {
  const { traffic: { phase, share }, following, verification, gate, journal, back } = facts;
  if (phase === "new") return back.is_captured ? back.process ? "watch" : "back" : "done";
  if (phase === "holding") return "abort";
  if (!following) return "move";
  if (following.state === "stopped") return "restart";
  if (!following.process) return "sync";
  if (!following.copied_at || following.state !== "following") return "copying";
  if (verification?.verdict !== "equal") return "verify";
  if (phase === "old") return "shadow";
  if (phase === "shadow") return "canary";
  if (share < 100) return "share";
  // A rollback ends the validity of an earlier rehearsal, as in migrate/data/move/stages.ts.
  const last = journal.find(({ kind, what }) => /^(rehearsal|rollback)$/.test(kind) && what === "done");
  const isRehearsed = last?.kind === "rehearsal" &&
    nowMs - Date.parse(last.at) < rehearsedSecondsMax * 1000;
  if (isRehearsed) return "cutover";
  return gate?.is_ready ? "rehearse" : "check";
}
