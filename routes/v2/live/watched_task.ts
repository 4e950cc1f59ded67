/**
 * A watched task: the events that its subscriptions have received, and those to send next.
 *
 * A subscription is `new` until the first `advance()` that includes it, which sends it the changes since its
 * revision or a resync. Then it is `joined` and receives every change. A joined subscription is
 * resynchronised if the visibility of ratings changes for it.
 */
import type { Sql } from "../../../db/pg/connect.ts";
import {
  type ChangedCell,
  type Credential,
  listChangedCells,
  listRaterCells,
  type TaskState,
} from "../../../db/views/events.ts";
import { EventClient, eventText } from "./event_client.ts";

/** Maximum number of cells of one event. */
const eventCellsMax = 500;
/** Maximum number of cells of a replay. Beyond it, reading planes is faster. */
export const replayCellsMax = 10_000;
/** Minimum time between two progress events. */
const progressMs = 500;
/** Window of the rate. */
const rateMs = 15_000;

/** The receiver of a stream, with its permissions and its starting point. */
export interface Subscriber {
  /** Id of the user or the share. */
  id: string;
  /** The session or share whose end also ends the stream. */
  credential: Credential;
  /** Expiry in milliseconds since 1970; null for a stream that ends only with its credential. */
  expiresAt: number | null;
  /** Returns whether others' ratings of unrated images are hidden, given whether the task is blind. */
  hidesRatings: (taskIsBlind: boolean) => boolean;
  /**
   * Revision up to which the subscriber is complete; undefined to start now; `invalid` if the request's is
   * not a number.
   */
  since: number | "invalid" | undefined;
}

/** An open stream. */
export interface Subscription extends Subscriber {
  client: EventClient;
  joined: boolean;
}

/** Changed cells of one event. */
interface Batch {
  cells: ChangedCell[];
  /** Highest revision of the cells. */
  last: number;
  /**
   * Revision up to which a client is complete after this batch; undefined if the batch ends within a
   * revision.
   */
  id: number | undefined;
}

/**
 * Cuts cells, sorted by descending revision, into batches, oldest first. No batch extends across revision
 * `at`.
 */
function cutBatches(cells: ChangedCell[], at: number, revision: number): Batch[] {
  const batches: Batch[] = [];
  for (let i = cells.length - 1; i >= 0; i--) {
    const cell = cells[i]!;
    const open = batches.at(-1);
    const before = cells[i + 1];
    const crosses = before !== undefined && before.revision <= at && cell.revision > at;
    if (open === undefined || open.cells.length >= eventCellsMax || crosses) {
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

function toText({ cells, id }: Batch, showsRatings: (cell: ChangedCell) => boolean): Uint8Array {
  const shown = cells.map((cell) => {
    const { rating_n: n, rating_sum: sum, status, version, image } = cell;
    const isShown = showsRatings(cell);
    return {
      cell: cell.cell,
      status,
      version,
      image,
      mean: isShown && n > 0 ? sum / n : null,
      n: isShown ? n : null,
    };
  });
  return eventText("cells", { cells: shown }, id);
}

export class WatchedTask {
  readonly subscriptions = new Set<Subscription>();
  /** Revision up to which joined subscriptions are complete. */
  #revision = 0;
  #state: TaskState | undefined;
  #sentProgress = "";
  #progressSentAt = -Infinity;
  /** Ended cells over time, for the rate. */
  #samples: { at: number; ended: number }[] = [];
  /** Time of the earliest next read. The pause grows with the duration of the last read. */
  #pausedUntil = 0;

  constructor(readonly id: string, readonly sql: Sql) {}

  /** Returns the events that make a client read the current state and that report the progress. */
  resync(): Uint8Array[] {
    const state = this.#state;
    return [
      eventText("resync", { revision: this.#revision }, this.#revision),
      ...(state
        ? [eventText("progress", { ...countsOf(state), hold: state.hold, rate: null }, this.#revision)]
        : []),
      ...(state?.ended ? [this.#endText(state)] : []),
    ];
  }

  #endText(state: TaskState): Uint8Array {
    return eventText("end", countsOf(state), this.#revision);
  }

  /** Sends the changes up to `state` to `subscriptions`: those that existed when the state was read. */
  async advance(state: TaskState, subscriptions: Subscription[]): Promise<void> {
    if (performance.now() < this.#pausedUntil) return;
    const replayStarts = subscriptions.filter(({ joined }) => !joined).map(({ since }) => since)
      .filter((since) => typeof since === "number" && since <= state.revision) as number[];
    const hasJoined = subscriptions.some(({ joined }) => joined);
    const since = Math.min(hasJoined ? this.#revision : state.revision, ...replayStarts);
    const started = performance.now();
    const { revision, cells } = since < state.revision
      ? await listChangedCells(this.sql, { taskId: this.id, since, limit: replayCellsMax + 1 })
      : { revision: state.revision, cells: [] };
    const raters = await this.#findRaters(cells, state, subscriptions);
    const tookMs = performance.now() - started;
    this.#pausedUntil = performance.now() + 4 * tookMs;
    this.#send({ state, revision, cells, raters, subscriptions });
  }

  /**
   * Finds, for subscribers with hidden ratings, the changed cells that they have rated: `cell version` by
   * rater.
   */
  async #findRaters(cells: ChangedCell[], { blind }: TaskState, subscriptions: Subscription[]) {
    const found = new Map<string, Set<string>>();
    const restricted = subscriptions.filter(({ hidesRatings }) => hidesRatings(blind));
    const raterIds = [...new Set(restricted.map(({ id }) => id))];
    const rated = cells.filter(({ rating_n }) => rating_n > 0).map(({ cell }) => cell);
    if (raterIds.length === 0 || rated.length === 0) return found;
    for (const row of await listRaterCells(this.sql, { taskId: this.id, raterIds, cells: rated })) {
      const own = found.get(row.rater_id) ?? new Set();
      found.set(row.rater_id, own.add(`${row.cell} ${row.version}`));
    }
    return found;
  }

  /** Queues the events. This is synchronous, so that no subscription is added, removed or read meanwhile. */
  #send({ state, revision, cells, raters, subscriptions }: {
    state: TaskState;
    revision: number;
    cells: ChangedCell[];
    raters: Map<string, Set<string>>;
    subscriptions: Subscription[];
  }): void {
    const before = this.#state;
    const oldestReplay = cells.length > replayCellsMax ? cells.at(-1)!.revision : 0;
    const batches = cutBatches(cells, this.#revision, revision);
    const texts = new Map<string, Uint8Array>();
    const textFor = (batch: Batch, subscription: Subscription): Uint8Array => {
      const hides = subscription.hidesRatings(state.blind);
      const own = hides ? raters.get(subscription.id) : undefined;
      const key = `${batches.indexOf(batch)} ${hides} ${own ? subscription.id : ""}`;
      const text = texts.get(key) ??
        toText(batch, ({ cell, version }) => !hides || own?.has(`${cell} ${version}`) === true);
      texts.set(key, text);
      return text;
    };
    const sentRevision = this.#revision;
    this.#revision = revision;
    this.#state = state;
    const progress = this.#measure(state);
    const hasJustEnded = state.ended && before?.ended === false;
    const isProgressDue = this.#takeProgress(progress, hasJustEnded);
    const endText = state.ended ? this.#endText(state) : undefined;
    for (const subscription of subscriptions) {
      const { client, joined, hidesRatings } = subscription;
      const from = joined ? sentRevision : subscription.since ?? revision;
      const visibilityChanged = joined && before !== undefined &&
        hidesRatings(before.blind) !== hidesRatings(state.blind);
      if (from === "invalid" || from > revision || from < oldestReplay || visibilityChanged) client.drop();
      else for (const batch of batches) if (batch.last > from) client.push(textFor(batch, subscription));
      if (isProgressDue || !joined) client.push(eventText("progress", progress, revision));
      if (endText && (!joined || before?.ended === false)) client.push(endText);
      subscription.joined = true;
    }
  }

  /** Returns the progress with the rate in cells per second over the window. */
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

  /** Reports whether to send this progress now, and records it as sent. */
  #takeProgress(progress: unknown, isUrgent: boolean): boolean {
    const text = JSON.stringify(progress);
    const now = performance.now();
    if (text === this.#sentProgress || !isUrgent && now - this.#progressSentAt < progressMs) return false;
    this.#sentProgress = text;
    this.#progressSentAt = now;
    return true;
  }
}

function countsOf({ status, total, completed, failed, cancelled, running }: TaskState) {
  const pending = Math.max(0, total - completed - failed - cancelled - running);
  return { status, total, pending, running, completed, failed, cancelled };
}
