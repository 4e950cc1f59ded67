/** Tells how a sync is doing: a line on the terminal or JSON lines, the metrics, and the rates that `status` shows. */
import { countGaps, countQuarantined, listWaitingGroups } from "../../../db/migration/following.ts";
import type { Pool } from "../../../db/pg/connect.ts";
import { counted } from "../../../phrases.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";
import { headroomSeconds, type Oplog, readOplog } from "../sources/oplog.ts";
import { fromPosition } from "../sources/positions.ts";
import type { SyncMetrics } from "../tools/follow_metrics.ts";
import { formatCount, formatSpan } from "../tools/format.ts";
import { LiveLine } from "../tools/live_line.ts";
import type { Progress } from "../tools/progress.ts";
import { saveOplogFrom, saveRates } from "./state.ts";
import { type BatchReport, lagOf } from "./stream.ts";

/** Intervals of the line on a terminal and elsewhere, of the rates and counts, and of looks at the oplog. */
const lineMs = 1000;
const jsonMs = 5000;
const countMs = 5000;
const oplogMs = 10_000;

interface ReporterOptions {
  pool: Pool;
  source: FollowedMongo;
  metrics: SyncMetrics;
  json: boolean;
  quiet: boolean;
}

/** Counts at the last report, for rates. */
interface Mark {
  at: number;
  events: number;
  documents: number;
}

export class SyncReporter implements Disposable {
  readonly #line: LiveLine;
  #events = 0;
  #documents = 0;
  #lagMs = 0;
  #position: bigint | undefined;
  #oplog: Oplog | undefined;
  #headroom: number | undefined;
  #open = { waiting: 0, quarantined: 0 };
  #rates = { events: 0, documents: 0 };
  /** Counts once a second, over the last seconds. */
  readonly #marks: Mark[] = [];
  /** A copy or a comparison is running, which has a progress bar of its own. */
  #isOther = true;
  #timers: ReturnType<typeof setInterval>[] = [];

  constructor(readonly options: ReporterOptions) {
    this.#line = new LiveLine(options);
  }

  /** Begins to report. Call it when this process holds the lease. */
  start(): void {
    this.#timers = [
      setInterval(() => this.#mark(), 1000),
      setInterval(() => this.#show(), this.#line.isTerminal ? lineMs : jsonMs),
      setInterval(() => this.#count().catch(() => {}), countMs),
      setInterval(() => this.#lookAtOplog().catch(() => {}), oplogMs),
    ];
    this.#lookAtOplog().catch(() => {});
  }

  /** Returns a progress that keeps this line away while it is shown. */
  wrap(progress: Progress): Progress {
    return Object.assign({}, {
      plan: progress.plan.bind(progress),
      resume: progress.resume.bind(progress),
      resetSpeed: progress.resetSpeed.bind(progress),
      add: progress.add.bind(progress),
      begin: (stage: string, total: number) => {
        this.#isOther = true;
        this.#line.clear();
        progress.begin(stage, total);
      },
      end: () => {
        progress.end();
        this.#isOther = false;
      },
    });
  }

  add(report: BatchReport): void {
    const { metrics } = this.options;
    this.#isOther = false;
    this.#events += report.events;
    this.#documents += report.documents;
    this.#lagMs = lagOf(report);
    this.#position = report.position;
    this.#updateHeadroom();
    metrics.events.inc(report.events);
    metrics.documents.inc(report.documents);
    metrics.lag.set(this.#lagMs / 1000);
    if (report.events > 0) metrics.batchSeconds.observe(report.durationMs / 1000);
  }

  /** Prints a note for the operator. */
  note(text: string): void {
    this.#line.note(this.options.json ? JSON.stringify({ note: text }) : `note: ${text}`);
  }

  /** Prints a failure that is tried again. */
  retry(text: string): void {
    this.options.metrics.retries.inc();
    this.note(text);
  }

  #mark(): void {
    this.#marks.push({ at: performance.now(), events: this.#events, documents: this.#documents });
    if (this.#marks.length > countMs / 1000 + 1) this.#marks.shift();
    const [first, last] = [this.#marks[0]!, this.#marks.at(-1)!];
    const seconds = (last.at - first.at) / 1000;
    if (seconds === 0) return;
    const rate = (key: "events" | "documents") => Math.round((last[key] - first[key]) / seconds * 10) / 10;
    this.#rates = { events: rate("events"), documents: rate("documents") };
  }

  #show(): void {
    if (this.#isOther) return;
    const { waiting, quarantined } = this.#open;
    const rate = (value: number) => value < 10 ? String(value) : formatCount(Math.round(value));
    const parts = [
      `following: ${rate(this.#rates.events)} changes/s`,
      `${rate(this.#rates.documents)} documents/s`,
      `lag ${formatLag(this.#lagMs)}`,
      ...(this.#headroom === undefined ? [] : [`head-room ${formatSpan(this.#headroom)}`]),
      ...(waiting > 0 ? [`${formatCount(waiting)} waiting`] : []),
      ...(quarantined > 0 ? [`${formatCount(quarantined)} in quarantine`] : []),
    ];
    this.#line.show(parts.join(" · "), {
      stage: "following",
      events: this.#events,
      documents: this.#documents,
      events_per_second: this.#rates.events,
      documents_per_second: this.#rates.documents,
      lag_ms: this.#lagMs,
      headroom_seconds: this.#headroom === undefined ? null : Math.round(this.#headroom),
      waiting,
      quarantined,
    });
  }

  async #count(): Promise<void> {
    const { pool, metrics } = this.options;
    await saveRates(pool, this.#rates);
    const groups = await listWaitingGroups(pool);
    const waiting = groups.reduce((sum, { documents }) => sum + documents, 0);
    this.#open = { waiting, quarantined: await countQuarantined(pool) };
    metrics.waiting.set(this.#open.waiting);
    metrics.quarantined.set(this.#open.quarantined);
    const gaps = await countGaps(pool);
    metrics.openGaps.set(gaps.open);
    metrics.healedGaps.set(gaps.healed);
  }

  #updateHeadroom(): void {
    if (this.#oplog === undefined || this.#position === undefined) return;
    this.#headroom = headroomSeconds(this.#oplog, fromPosition(this.#position).t);
    this.options.metrics.headroom.set(this.#headroom);
  }

  async #lookAtOplog(): Promise<void> {
    const { pool, source } = this.options;
    const oplog = await readOplog(source);
    if (oplog === undefined) return;
    this.#oplog = oplog;
    this.#updateHeadroom();
    await saveOplogFrom(pool, oplog.toSeconds - oplog.windowSeconds);
  }

  /** Returns the last line of the command. */
  summary(isStopped: boolean): string {
    const { json } = this.options;
    const events = this.#events;
    const documents = this.#documents;
    const { waiting, quarantined } = this.#open;
    if (json) {
      return JSON.stringify({
        events,
        documents,
        lag_ms: this.#lagMs,
        stopped: isStopped,
        waiting,
        quarantined,
      });
    }
    const how = isStopped ? "stopped on request; run the same command again to continue" : "caught up";
    const lines = [
      `${how}: ${counted(events, "change")} read, ${counted(documents, "document")} applied since the copy`,
      ...(waiting > 0 ? [`${counted(waiting, "document")} waiting for a task or a key: see 'status'`] : []),
      ...(quarantined > 0 ? [`${counted(quarantined, "document")} in quarantine: see 'quarantine'`] : []),
      ...(isStopped ? [] : ["next: deno task migrate data status --settled --from mongodb"]),
    ];
    return lines.join("\n");
  }

  /** Reads the last counts, and ends the line. Call it before summary(). */
  async finish(): Promise<void> {
    this[Symbol.dispose]();
    await Promise.all([this.#count(), this.#lookAtOplog()]).catch(() => {});
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearInterval(timer);
    this.#line.clear();
  }
}

const formatLag = (ms: number) => ms < 1000 ? "under 1 s" : formatSpan(ms / 1000);
