/** What all parts of the guide work with. */
import type { SwitchContext } from "../cutover/context.ts";
import type { SwitchOptions } from "../cutover/options.ts";
import type { Dialogue } from "./dialogue.ts";

/** The stages of a move, in their order. */
export const stageNames = [
  "assess",
  "backup",
  "schema",
  "sync",
  "verify",
  "shadow",
  "canary-1",
  "canary-5",
  "canary-25",
  "canary-100",
  "rehearse",
  "cutover",
  "watch",
  "finish",
] as const;
export type StageName = (typeof stageNames)[number];

export interface MoveSettings {
  /** Last stage of this run. */
  until: StageName;
  /** Folder of the backup; by default a new one with the time in its name. */
  backupTo: string | undefined;
  /** Least time that a share of the users reads here before the next step. */
  soakMs: number;
  /** Least time between the cut-over and the end of the way back. */
  watchMs: number;
  /** Longest wait for one stage; Infinity if a person may end it. */
  waitMs: number;
}

/** The result of an assessment, as it is stored. */
export interface Assessed {
  verdict: "GO" | "WAIT" | "NO-GO";
  documents: number;
  /** The MongoDB that was assessed. */
  identity: string;
}

export interface MoveContext {
  switching: SwitchContext;
  /** The old database, as `--from` names it. */
  from: string;
  options: SwitchOptions;
  settings: MoveSettings;
  dialogue: Dialogue;
  /** An assessment of this run that cannot be stored yet, because the database has no tables. */
  assessed: Assessed | undefined;
}
