/** The overview of a move as text: its stages, what runs, what was decided by whom, and the next command. */
import { counted } from "../../../phrases.ts";
import type { CutoverRow } from "../cutover/journal.ts";
import type { Facts, TargetState } from "./facts.ts";
import type { Stage } from "./stages.ts";

const decisionsShown = 12;
const labelWidth = 14;
const widthMax = 110;

/** Something that somebody decided or did. */
export interface Decided {
  /** ISO 8601. */
  at: string;
  by: string;
  what: string;
}

/** A process that works on the move now. */
export interface RunningProcess {
  role: "sync" | "back" | "API" | "move";
  process: string;
  since: string | null;
}

/** What the guide reports. */
export interface MoveReport {
  phase: string | null;
  share: number | null;
  finished: boolean;
  stages: Stage[];
  next: string | null;
  next_command: string | null;
  running: RunningProcess[];
  decided: Decided[];
}

function describeCutover({ kind, state, pause_ms, note }: CutoverRow): string {
  const pause = pause_ms === null ? "" : `, paused for ${pause_ms} ms`;
  return `${kind}: ${state}${pause}${note === null ? "" : ` (${note.split("\n")[0]!.slice(0, 80)})`}`;
}

/** Lists what was decided, the newest first. */
function listDecided({ decisions, changes, cutovers }: TargetState): Decided[] {
  const texts: Decided[] = [
    ...decisions.map(({ name, value, decided_by, decided_at }) => {
      const detail = value.verdict ?? value.folder ?? value.decision;
      const what = name.replace(/^accept:/, "accepted: ");
      return { at: decided_at, by: decided_by, what: detail === undefined ? what : `${what}: ${detail}` };
    }),
    ...changes.filter(({ changed_by }) => changed_by !== "installation").map((row) => {
      const share = row.phase_after === "canary" ? ` ${row.share_after} %` : "";
      const reason = row.reason === "" ? "" : ` (${row.reason})`;
      return { at: row.at, by: row.changed_by, what: `phase ${row.phase_after}${share}${reason}` };
    }),
    ...cutovers.map((row) => ({
      at: row.ended_at ?? row.started_at,
      by: row.started_by,
      what: describeCutover(row),
    })),
  ];
  return texts.sort((a, b) => a.at < b.at ? 1 : -1);
}

function listRunning({ holder, target }: Facts): RunningProcess[] {
  const { following, wayBack, processes } = target ?? {};
  const roles = { sync: following?.process, back: wayBack?.process, move: holder };
  return [
    ...Object.entries(roles).flatMap(([role, found]) =>
      found ? [{ role: role as RunningProcess["role"], process: found.holder, since: found.since }] : []
    ),
    ...(processes ?? []).map(({ host, pid }) => ({
      role: "API" as const,
      process: `${host}:${pid}`,
      since: null,
    })),
  ];
}

/** What an operator runs next, apart from the guide itself. */
function chooseCommand(next: Stage | undefined, { target }: Facts): string | null {
  if (next === undefined) return null;
  const isMissing = (name: string) =>
    ["not_ready", "unknown"].includes(target?.checks.get(name)?.state ?? "");
  if (next.name === "sync" && isMissing("sync_running")) return "deno task migrate data sync --from mongodb";
  if (next.name === "watch" && target?.backChecks.get("back_running")?.state === "not_ready") {
    return "deno task migrate data back --to mongodb";
  }
  if (next.name === "shadow" && isMissing("process_present")) return "deno task start";
  return "deno task migrate data move";
}

/** Returns the report. */
export function makeReport(facts: Facts, stages: Stage[], next: Stage | undefined): MoveReport {
  const { target } = facts;
  return {
    phase: target?.traffic.phase ?? null,
    share: target?.traffic.share ?? null,
    finished: next === undefined,
    stages,
    next: next?.name ?? null,
    next_command: chooseCommand(next, facts),
    running: listRunning(facts),
    decided: target ? listDecided(target).slice(0, decisionsShown) : [],
  };
}

/** Breaks a text into lines that fit the terminal. All but the first one are indented. */
export function wrap(text: string, columns: number, indent: number): string {
  const width = Math.min(columns, widthMax);
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width - indent) {
      lines.push(line);
      line = word;
    } else line = line === "" ? word : `${line} ${word}`;
  }
  lines.push(line);
  return lines.join(`\n${" ".repeat(indent)}`);
}

const shortTime = (at: string): string => at.slice(0, 16).replace("T", " ");

/** Returns the stages as text. */
export function formatStages(stages: readonly Stage[], next: Stage | undefined, columns: number): string {
  return stages.map(({ name, state, found }) => {
    const mark = state === "done" ? "✓" : name === next?.name ? "▸" : "·";
    // The later stages cannot be derived while an earlier one is open.
    const isLater = state === "open" && name !== next?.name;
    return `${mark} ${name.padEnd(labelWidth - 2)}${isLater ? "" : wrap(found, columns, labelWidth)}`
      .trimEnd();
  }).join("\n");
}

/** Returns the whole report as text. */
export function formatReport(report: MoveReport, heading: string, columns: number): string {
  const { phase, share, stages, next, next_command, running, decided, finished } = report;
  const nextStage = stages.find(({ name }) => name === next);
  const lines = [heading];
  if (phase !== null) lines.push(`phase ${phase}${phase === "canary" ? ` ${share} %` : ""}`);
  lines.push("", formatStages(stages, nextStage, columns), "");
  if (running.length === 0) lines.push("running: nothing");
  else {
    lines.push(`running: ${counted(running.length, "process", "processes")}`);
    for (const { role, process, since } of running) {
      lines.push(`  ${role.padEnd(5)} ${process}${since === null ? "" : ` since ${shortTime(since)}`}`);
    }
  }
  if (decided.length > 0) {
    lines.push("decided (UTC, newest first):");
    for (const { at, by, what } of decided) {
      lines.push(`  ${wrap(`${shortTime(at)}  ${by}  ${what}`, columns, 4)}`);
    }
  }
  lines.push(finished ? "the move is finished" : `next: ${next_command}`);
  return lines.join("\n");
}
