/** The next command of a migration, as its state tells it. */
import type { Schemas } from "../../api/client.ts";

export type Migration = Schemas["Migration"];
export type Traffic = Schemas["Traffic"];
export type Ledger = Schemas["MigrationLedger"];

const data = "deno task migrate data ";
const traffic = "deno task migrate traffic ";

/** Commands by the names of their texts. */
export const commands = {
  move: `${data}move`,
  sync: `${data}sync --from mongodb`,
  restart: `${data}sync --from mongodb --restart`,
  copying: `${data}status --from mongodb`,
  verify: `${data}verify --live --from mongodb`,
  shadow: `${traffic}shadow --reason "…"`,
  canary: `${traffic}canary --share 5 --reason "…"`,
  share: `${traffic}--share 100 --reason "…"`,
  check: `${data}cutover --check --unfinished keep`,
  rehearse: `${data}rehearse --unfinished keep`,
  cutover: `${data}cutover --unfinished keep`,
  abort: `${data}cutover --abort`,
  back: `${data}back --to mongodb`,
  watch: `${data}back --to mongodb --verify`,
  done: `${traffic.trim()}`,
} as const;
export type NextName = keyof typeof commands;

/** Time for which a rehearsal holds, in seconds. */
const rehearsedSecondsMax = 86_400;

/** Returns the name of the next command. @param nowMs the server's time */
export function findNext(
  { following, state, verification, gate, journal, back }: Migration,
  { phase, share }: Traffic,
  nowMs: number,
): NextName {
  if (phase === "new") return back.is_captured ? back.process ? "watch" : "back" : "done";
  if (phase === "holding") return "abort";
  if (!following) return "move";
  if (state === "stopped") return "restart";
  if (!following.process) return "sync";
  if (!following.copied_at || state !== "following") return "copying";
  if (verification?.verdict !== "equal") return "verify";
  if (phase === "old") return "shadow";
  if (phase === "shadow") return "canary";
  if (share < 100) return "share";
  const rehearsal = journal.find(({ kind, what }) => kind === "rehearsal" && what === "done");
  const isRehearsed = rehearsal && nowMs - Date.parse(rehearsal.at) < rehearsedSecondsMax * 1000;
  if (!isRehearsed) return gate?.is_ready ? "rehearse" : "check";
  return "cutover";
}
