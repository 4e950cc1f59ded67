/** What an operator decides about a cut-over. The journal keeps it, so that `--continue` does the same. */
import type { Decision } from "../ledger/unfinished.ts";

/** How writes of the old backend are stopped: by MongoDB, by a URL of the operator, or by the operator. */
export type FreezeWay = { way: "mongodb" } | { way: "hook"; url: string } | { way: "confirmed" };

export interface SwitchOptions {
  /** Time that the old executor gets to finish what it has under way; null: it is not waited for. */
  drainMs: number | null;
  unfinished: Decision | null;
  freeze: FreezeWay;
  /** Longest pause. A cut-over that takes longer is undone. */
  pauseMsMax: number;
  /** Names of checks and documents that the operator has accepted. */
  accept: string[];
}

/** A pause within which no write is refused: the front holds a write for five seconds by default. */
export const pauseMsDefault = 4000;

export const optionsDefault: SwitchOptions = {
  drainMs: null,
  unfinished: null,
  freeze: { way: "mongodb" },
  pauseMsMax: pauseMsDefault,
  accept: [],
};
