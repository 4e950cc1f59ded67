/** One watched task: what its viewers were told, and what they are told next. */
import type { Sql } from "../../../db/pg/connect.ts";
import {
  type ChangedCell,
  type Door,
  listChangedCells,
  listRaterCells,
  type TaskState,
} from "../../../db/views/events.ts";
import { EventClient, eventText } from "./reader.ts";

/** Cells of an event at most, and of a replay: past that the planes are read faster. */
const batchCells = 500;
export const replayCellsMax = 10_000;
/** At most two a second. */
const progressMs = 500;
/** Over how long the rate is taken. */
const rateMs = 15_000;

/** Who watches, and from where on. */
export interface Viewer {
  /** A user's id, or a share's. */
  id: string;
  door: Door;
  /** Milliseconds since 1970; null for what ends by its door alone. */
  expiresAt: number | null;
  /** Whether others' ratings of images that they have not rated are hidden, in a task that is blind or not. */
  hides: (taskIsBlind: boolean) => boolean;
  /** The revision up to which they know everything; junk where they said something else; undefined for from now on. */
  since: number | "junk" | undefined;
}

export interface Watcher extends Viewer {
  client: EventClient;
  joined: boolean;
}

interface Batch {
  cells: ChangedCell[];
  /** The revision of the last of them. */
  last: number;
  /** Up to which all has been told with it; undefined within a revision. */
  id: number | undefined;
}

/** Cuts cells, latest first, into batches, oldest first; `at` is never within one. */
function cutBatches(cells: ChangedCell[], at: number, revision: number): Batch[] {
  const batches: Batch[] = [];
  for (let i = cells.length - 1; i >= 0; i--) {
    const cell = cells[i]!;
    const open = batches.at(-1);
    const before = cells[i + 1];
    const crosses = before !== undefined && before.revision <= at && cell.revision > at;
    if (open === undefined || open.cells.length >= batchCells || crosses) {
      if (open && open.last < cell.revision) open.id = open.last;
      batches.push({ cells: [cell], last: cell.revision, id: undefined });
    } else {
      open.cells.push(cell);
      open.last = cell.revision;
    }
  }
  const final = batches.at(-1);
  if (final) final.id = revision;
  return batches;
}

function toText({ cells, id }: Batch, shows: (cell: ChangedCell) => boolean): Uint8Array {
  const shown = cells.map((cell) => {
    const { rating_n: n, rating_sum: sum, status, version, image } = cell;
    const open = shows(cell);
    return {
      cell: cell.cell,
      status,
      version,
      image,
      mean: open && n > 0 ? sum / n : null,
      n: open ? n : null,
    };
  });
  return eventText("cells", { cells: shown }, id);
}

export class WatchedTask {
  readonly watchers = new Set<Watcher>();
  /** Everything up to this revision was told to who has joined. */
  #at = 0;
  #state: TaskState | undefined;
  #told = "";
  #toldAt = -Infinity;
  #samples: { at: number; ended: number }[] = [];
  /** A read that took long is not repeated soon. */
  #restUntil = 0;

  constructor(readonly id: string, readonly sql: Sql) {}

  /** Tells to read anew, as of now, and how far it has come. */
  resync(): Uint8Array[] {
    const state = this.#state;
    return [
      eventText("resync", { revision: this.#at }, this.#at),
      ...(state
        ? [eventText("progress", { ...countsOf(state), hold: state.hold, rate: null }, this.#at)]
        : []),
      ...(state?.ended ? [this.#endText(state)] : []),
    ];
  }

  #endText(state: TaskState): Uint8Array {
    return eventText("end", countsOf(state), this.#at);
  }

  /** Tells what changed up to `state` to `watchers`: those that were there when it was read. */
  async advance(state: TaskState, watchers: Watcher[]): Promise<void> {
    if (performance.now() < this.#restUntil) return;
    const joiners = watchers.filter(({ joined }) => !joined);
    const begun = watchers.some(({ joined }) => joined);
    const sinces = joiners.map(({ since }) => since).filter((since) =>
      typeof since === "number" && since <= state.revision
    ) as number[];
    const since = Math.min(begun ? this.#at : state.revision, ...sinces);
    const started = performance.now();
    const { revision, cells } = since < state.revision
      ? await listChangedCells(this.sql, { taskId: this.id, since, limit: replayCellsMax + 1 })
      : { revision: state.revision, cells: [] };
    const raters = await this.#findRaters(cells, state, watchers);
    const took = performance.now() - started;
    this.#restUntil = performance.now() + 4 * took;
    this.#tell({ state, revision, cells, raters, watchers });
  }

  /** By rater: `cell version` of the changed ones that they may see the ratings of, where they may not see all. */
  async #findRaters(cells: ChangedCell[], { blind }: TaskState, watchers: Watcher[]) {
    const found = new Map<string, Set<string>>();
    const raterIds = [...new Set(watchers.filter(({ hides }) => hides(blind)).map(({ id }) => id))];
    const rated = cells.filter(({ rating_n }) => rating_n > 0).map(({ cell }) => cell);
    if (raterIds.length === 0 || rated.length === 0) return found;
    for (const row of await listRaterCells(this.sql, { taskId: this.id, raterIds, cells: rated })) {
      const open = found.get(row.rater_id) ?? new Set();
      found.set(row.rater_id, open.add(`${row.cell} ${row.version}`));
    }
    return found;
  }

  /** Nothing in here waits, so that nobody joins, leaves or reads within. */
  #tell({ state, revision, cells, raters, watchers }: {
    state: TaskState;
    revision: number;
    cells: ChangedCell[];
    raters: Map<string, Set<string>>;
    watchers: Watcher[];
  }): void {
    const before = this.#state;
    const floor = cells.length > replayCellsMax ? cells.at(-1)!.revision : 0;
    const batches = cutBatches(cells, this.#at, revision);
    const texts = new Map<string, Uint8Array>();
    const textOf = (batch: Batch, watcher: Watcher): Uint8Array => {
      const hides = watcher.hides(state.blind);
      const own = hides ? raters.get(watcher.id) : undefined;
      const key = `${batches.indexOf(batch)} ${hides} ${own ? watcher.id : ""}`;
      const text = texts.get(key) ??
        toText(batch, ({ cell, version }) => !hides || own?.has(`${cell} ${version}`) === true);
      texts.set(key, text);
      return text;
    };
    const told = this.#at;
    this.#at = revision;
    this.#state = state;
    const progress = this.#measure(state);
    const due = this.#takeDue(progress, state.ended && before?.ended === false);
    const ended = state.ended ? this.#endText(state) : undefined;
    for (const watcher of watchers) {
      const { client, joined, hides } = watcher;
      const from = joined ? told : watcher.since ?? revision;
      const turned = joined && before !== undefined && hides(before.blind) !== hides(state.blind);
      if (from === "junk" || from > revision || from < floor || turned) client.lose();
      else for (const batch of batches) if (batch.last > from) client.push(textOf(batch, watcher));
      if (due || !joined) client.push(eventText("progress", progress, revision));
      if (ended && (!joined || before?.ended === false)) client.push(ended);
      watcher.joined = true;
    }
  }

  #measure(state: TaskState) {
    const now = performance.now();
    const ended = state.completed + state.failed;
    if ((this.#samples.at(-1)?.ended ?? 0) > ended) this.#samples = [];
    this.#samples.push({ at: now, ended });
    while (this.#samples.length > 2 && this.#samples[1]!.at < now - rateMs) this.#samples.shift();
    const { at, ended: first } = this.#samples[0]!;
    const rate = now - at < 2_000 ? null : Number(((ended - first) * 1000 / (now - at)).toPrecision(2));
    return { ...countsOf(state), hold: state.hold, rate: state.ended ? null : rate };
  }

  /** Whether viewers are to be told of this progress now. */
  #takeDue(progress: unknown, atOnce: boolean): boolean {
    const text = JSON.stringify(progress);
    const now = performance.now();
    if (text === this.#told || !atOnce && now - this.#toldAt < progressMs) return false;
    this.#told = text;
    this.#toldAt = now;
    return true;
  }
}

function countsOf({ status, total, completed, failed, cancelled, running }: TaskState) {
  const pending = Math.max(0, total - completed - failed - cancelled - running);
  return { status, total, pending, running, completed, failed, cancelled };
}
