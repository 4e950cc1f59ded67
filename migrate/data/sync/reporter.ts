/** Shows the progress of a sync once a second: on a terminal as one line, elsewhere as JSON lines. */
import { printError } from "../../../process.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { counted } from "../../../phrases.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";
import { readOplog } from "../sources/oplog.ts";
import { formatCount, formatSeconds } from "../tools/format.ts";
import { lagOf } from "./follow.ts";
import { saveOplogFrom } from "./state.ts";
import type { BatchReport } from "./stream.ts";

/** Interval of the reports, and of looks at the oplog, in milliseconds. */
const reportMs = 5000;
const oplogMs = 10_000;

interface ReporterOptions {
  pool: Pool;
  source: FollowedMongo;
  json: boolean;
  quiet: boolean;
}

export class SyncReporter implements Disposable {
  #events = 0;
  #documents = 0;
  #lagMs = 0;
  #eventsBefore = 0;
  readonly #timers: ReturnType<typeof setInterval>[];

  constructor(readonly options: ReporterOptions) {
    this.#timers = [
      setInterval(() => this.#report(), reportMs),
      setInterval(() => this.#lookAtOplog(), oplogMs),
    ];
  }

  add(report: BatchReport): void {
    this.#events += report.events;
    this.#documents += report.documents;
    this.#lagMs = lagOf(report);
  }

  #report(): void {
    const { json, quiet } = this.options;
    if (quiet) return;
    const rate = (this.#events - this.#eventsBefore) / (reportMs / 1000);
    this.#eventsBefore = this.#events;
    printError(
      json
        ? JSON.stringify({ events: this.#events, documents: this.#documents, rate, lag_ms: this.#lagMs })
        : `following: ${formatCount(Math.round(rate))} changes/s, lag ${formatLag(this.#lagMs)}`,
    );
  }

  async #lookAtOplog(): Promise<void> {
    const { pool, source } = this.options;
    const oplog = await readOplog(source);
    if (oplog) await saveOplogFrom(pool, oplog.toSeconds - oplog.windowSeconds).catch(() => {});
  }

  /** Returns the last line of the command. */
  summary(isStopped: boolean): string {
    const { json } = this.options;
    const events = this.#events;
    const documents = this.#documents;
    if (json) return JSON.stringify({ events, documents, lag_ms: this.#lagMs, stopped: isStopped });
    const how = isStopped ? "stopped on request; run the same command again to continue" : "caught up";
    return `${how}: ${counted(events, "change")} read, ${counted(documents, "document")} applied`;
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
  }
}

const formatLag = (ms: number) => ms < 1000 ? "under 1 s" : formatSeconds(ms / 1000);
