/** What an operator decides about a cut-over. The journal keeps it, so that `--continue` does the same. */
import type { Decision } from "../ledger/unfinished.ts";

/** How writes of the old backend are stopped: by MongoDB, by a URL of the operator, or by the operator. */
export type FreezeWay = { way: "mongodb" } | { way: "hook"; url: string } | { way: "confirmed" };

/**
 * What stands before both systems and follows a switch: the front of the API processes, or a proxy of the operator, which
 * a URL tells what to do, or the operator.
 */
export type ProxyWay = { way: "front" } | { way: "hook"; url: string } | { way: "confirmed" };

export interface SwitchOptions {
  /** Time that the old executor gets to finish what it has under way; null: it is not waited for. */
  drainMs: number | null;
  unfinished: Decision | null;
  freeze: FreezeWay;
  proxy: ProxyWay;
  /** Longest pause. A cut-over that takes longer is undone. */
  pauseMsMax: number;
  /** Names of checks and documents that the operator has accepted. */
  accept: string[];
}

/** A pause within which no write is refused: the front holds a write for five seconds by default. */
const pauseMsDefault = 4000;
/** A proxy of the operator answers within seconds, a person within minutes. */
const hookPauseMsDefault = 30_000;
const confirmedPauseMsDefault = 10 * 60_000;

/** Returns the longest pause if the operator gives none. */
export const pauseMsFor = ({ way }: ProxyWay): number =>
  way === "front" ? pauseMsDefault : way === "hook" ? hookPauseMsDefault : confirmedPauseMsDefault;

export const optionsDefault: SwitchOptions = {
  drainMs: null,
  unfinished: null,
  freeze: { way: "mongodb" },
  proxy: { way: "front" },
  pauseMsMax: pauseMsDefault,
  accept: [],
};
