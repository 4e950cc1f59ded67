/** The followed source in the status: its facts, its equation, and the next command. */
import {
  countGaps,
  findFollowing,
  findLastVerification,
  type Following,
  type Gap,
  listGaps,
  listWaitingGroups,
  type LiveVerification,
  readWayBack,
  type WaitingGroup,
  type WayBack,
} from "../../../db/migration/following.ts";
import type { Sql } from "../../../db/pg/connect.ts";
import { counted } from "../../../phrases.ts";
import { formatCount, formatCounted, formatSpan, formatTable } from "../tools/format.ts";
import { readSnapshot } from "../../../db/migration/ledger.ts";
import { type LiveEquation, unknownEquation } from "./live_count.ts";

export interface FollowingStatus extends Following {
  equation: LiveEquation;
  waiting: WaitingGroup[];
  gaps: { open: number; healed: number; last: Gap | null };
  back: WayBack;
  last_live_verification: LiveVerification | null;
  /** The next command, without `deno task migrate data`; null if nothing is to be done. */
  next_command: string | null;
}

const isCounted = (equation: LiveEquation): boolean => equation.state === "proven";

/** Returns the next command. */
function chooseNext(
  following: Following,
  { equation, quarantined, back, verification }: {
    equation: LiveEquation;
    quarantined: number;
    back: WayBack;
    verification: LiveVerification | undefined;
  },
): string | null {
  const { state, process, mode } = following;
  const sync = `sync --from mongodb${mode === "poll" ? " --poll" : ""}`;
  if (state === "stopped") return `${sync} --restart`;
  if (back.state === "stopped") return "back --to mongodb";
  if (state !== "ended" && process === null && back.process === null) return sync;
  if (equation.state === "differs") return "verify --live --from mongodb";
  if (state !== "following") return null;
  if (quarantined > 0) return "quarantine";
  if (verification?.verdict === "different") return "why ID";
  if (verification?.verdict !== "equal") return "verify --live --from mongodb";
  return isCounted(equation) ? null : "status --settled --from mongodb";
}

/**
 * Reads all facts about the followed source.
 *
 * @param equation the counts of both sides; without it, those of the target alone
 */
export async function readFollowing(
  sql: Sql,
  equation?: LiveEquation,
): Promise<FollowingStatus | null> {
  const following = await findFollowing(sql);
  if (following === undefined) return null;
  const counts = equation ??
    unknownEquation((await readSnapshot(sql))!, "no MongoDB was asked; add --from mongodb");
  const [last] = await listGaps(sql, 1);
  const back = await readWayBack(sql);
  const verification = await findLastVerification(sql);
  const quarantined = counts.collections.reduce((sum, one) => sum + one.quarantined, 0);
  return Object.assign({}, following, {
    equation: counts,
    waiting: await listWaitingGroups(sql),
    gaps: Object.assign(await countGaps(sql), { last: last ?? null }),
    back,
    last_live_verification: verification ?? null,
    next_command: chooseNext(following, { equation: counts, quarantined, back, verification }),
  });
}

const shortTime = (time: string | null): string => time === null ? "?" : time.replace(/\.\d+Z$/, "Z");

function formatState({ state, mode, started_at, stop_reason, process }: FollowingStatus): string {
  const how = mode === "poll" ? "by polling" : "by its change stream";
  const states = {
    copying: "copying all documents",
    following: `following ${how} since ${shortTime(started_at)}`,
    gap: "comparing both sides, because the position was lost",
    stopped: `STOPPED: ${stop_reason}`,
    ended: "ended",
  };
  const who = process === null
    ? "no sync is running"
    : `sync of process ${process.holder} since ${shortTime(process.since)}`;
  return `${states[state]}; ${who}`;
}

/** Returns the head-room in words. */
export function formatHeadroom({ headroom_seconds, mode }: Following): string {
  if (mode === "poll") return "none is needed: polling reads no oplog";
  if (headroom_seconds === null) {
    return "not known: the account may not read the oplog, or 'sync' began just now";
  }
  if (headroom_seconds === 0) return "the position has left the oplog; 'sync' will compare both sides";
  return `the position leaves the oplog in ${formatSpan(headroom_seconds)}`;
}

function formatLag({ lag_seconds, position_at, state }: FollowingStatus): string {
  if (lag_seconds === null) return state === "ended" ? "ended" : "not known before both sides are equal once";
  const lag = lag_seconds < 1 ? "under 1 s" : formatSpan(lag_seconds);
  return `${lag}; all changes up to ${shortTime(position_at)} are applied`;
}

function formatGaps({ open, healed, last }: FollowingStatus["gaps"]): string {
  if (last === null) return "none";
  const counts = [
    ...(open > 0 ? [`${formatCount(open)} open`] : []),
    ...(healed > 0 ? [`${formatCount(healed)} healed`] : []),
  ].join(", ");
  const result = last.healed_at === null
    ? ""
    : `; ${formatCounted(last.compared ?? 0, "document")} compared, ${
      formatCount(last.applied ?? 0)
    } read again`;
  return `${counts}; the last at ${shortTime(last.found_at)} (${last.reason})${result}`;
}

function formatVerification(verification: LiveVerification | null): string {
  if (verification === null) return "never";
  const { started_at, ended_at, verdict, documents, differences } = verification;
  if (ended_at === null) return `begun at ${shortTime(started_at)}, not complete`;
  const result = verdict === "equal" ? "equal" : `DIFFERENT, ${formatCounted(differences, "difference")}`;
  return `${shortTime(ended_at)}: ${result}, ${formatCounted(documents, "document")} compared`;
}

function formatBack(
  { is_captured, changes, lag_seconds, state, stop_reason, documents, process }: WayBack,
): string {
  if (!is_captured && state === null && changes === 0) return "changes made here are not captured";
  const waiting = changes === 0
    ? "MongoDB has all changes made here"
    : `${formatCounted(changes, "change")} not in MongoDB yet, the oldest ${
      formatSpan(lag_seconds ?? 0)
    } old`;
  const who = process === null
    ? state === "stopped" ? `STOPPED: ${stop_reason}` : "'back' is not running"
    : `'back' of process ${process.holder} since ${shortTime(process.since)}`;
  return `changes are ${is_captured ? "captured" : "not captured any more"}; ${waiting}; ${who}, ${
    counted(documents, "document")
  } written`;
}

function formatEquation({ position_at, collections, state, reason }: LiveEquation): string[] {
  const head = ["collection", "documents", "exact", "adjusted", "quarantined", "waiting", "excluded"];
  const rows = collections.map((one) => [
    one.collection,
    one.documents ?? "?",
    ...[one.exact, one.adjusted, one.quarantined, one.waiting, one.excluded],
  ]);
  const kept = collections.reduce((sum, one) => sum + one.kept, 0);
  const notes = [
    ...(state === "unknown" ? [`documents are not counted: ${reason}`] : []),
    ...(kept > 0
      ? [
        `${
          formatCounted(kept, "row")
        } of the last accepted version of quarantined or waiting documents: kept, and in ` +
        "no column",
      ]
      : []),
  ];
  return [`at position ${shortTime(position_at)}`, formatTable(head, rows), ...notes];
}

/** Returns the followed source as lines of text. */
export function formatFollowing(following: FollowingStatus): string[] {
  const { location, fingerprint, events, documents, gaps, back, waiting, equation } = following;
  const rates = `${formatRate(following.events_per_second)} changes/s, ${
    formatRate(following.documents_per_second)
  } documents/s; ${formatCounted(events, "change")} read and ${
    formatCounted(documents, "document")
  } applied since the copy`;
  const lines = [
    `followed ${location} (${fingerprint.slice(0, 12)})`,
    `  state      ${formatState(following)}`,
    `  lag        ${formatLag(following)}`,
    `  head-room  ${formatHeadroom(following)}`,
    `  rates      ${rates}`,
    `  gaps       ${formatGaps(gaps)}`,
    `  verified   ${formatVerification(following.last_live_verification)}`,
    `  way back   ${formatBack(back)}`,
    "",
    ...formatEquation(equation),
  ];
  if (waiting.length === 0) return lines;
  const rows = waiting.map((one) => [one.collection, one.reason, one.documents, shortTime(one.first_at)]);
  return [...lines, "", "waiting", formatTable(["collection", "reason", "documents", "since"], rows)];
}

const formatRate = (rate: number): string =>
  rate >= 10 ? formatCount(Math.round(rate)) : String(Math.round(rate * 10) / 10);
