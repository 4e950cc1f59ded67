/** How far a long verb is: a bar with rate and time left on a terminal, JSON lines elsewhere. */
import { Presets, SingleBar } from "cli-progress";
import process from "node:process";
import { printError } from "../../../process.ts";
import { Estimator, type Stage } from "./eta.ts";

export interface Progress {
  /** Names the stages to come, for the time left; again, when more is known of them. */
  plan(stages: Stage[]): void;
  /** A new stage of `total` bytes; 0 where it has no measure. */
  begin(stage: string, total: number): void;
  /** What an earlier run has done of the stage: it counts as done, not as fast. */
  resume(bytes: number, documents: number): void;
  /** What comes now costs otherwise than what came before: another collection. */
  turn(): void;
  add(bytes: number, documents: number): void;
  end(): void;
}

/** Says nothing. */
export const silentProgress: Progress = { plan() {}, begin() {}, resume() {}, turn() {}, add() {}, end() {} };

const everyMs = 1000;

/** A stage as it is told. */
interface State {
  stage: string;
  bytes: number;
  total: number;
  documents: number;
  documentsPerSecond: number;
  secondsLeft: number | undefined;
}

/** Told at most once a second, and each second where nothing moves: whoever waits sees that it lives. */
abstract class TimedProgress implements Progress {
  readonly #estimator = new Estimator();
  #state: Omit<State, "documentsPerSecond" | "secondsLeft"> = { stage: "", bytes: 0, total: 0, documents: 0 };
  #documentsBefore = 0;
  #since = 0;
  #told = 0;
  #heartbeat: ReturnType<typeof setInterval> | undefined;

  protected abstract tell(state: State): void;
  protected open(_stage: string, _total: number): void {}
  protected close(): void {}

  plan(stages: Stage[]): void {
    this.#estimator.plan(stages);
  }

  begin(stage: string, total: number): void {
    this.#finish();
    this.#state = { stage, bytes: 0, total, documents: 0 };
    this.#documentsBefore = 0;
    this.#since = performance.now();
    this.#estimator.begin(stage, total);
    this.open(stage, total);
    this.#tell();
    this.#heartbeat = setInterval(() => this.#tellInTime(), everyMs);
    Deno.unrefTimer(this.#heartbeat);
  }

  resume(bytes: number, documents: number): void {
    this.#documentsBefore = documents;
    this.#state.bytes += bytes;
    this.#state.documents += documents;
    this.#estimator.resume(bytes);
    this.#tell();
  }

  turn(): void {
    this.#estimator.turn();
  }

  add(bytes: number, documents: number): void {
    this.#state.bytes += bytes;
    this.#state.documents += documents;
    this.#estimator.add(bytes);
    this.#tellInTime();
  }

  end(): void {
    this.#finish();
    this.#estimator.end();
  }

  #finish(): void {
    clearInterval(this.#heartbeat);
    if (this.#state.bytes > 0) this.#tell();
    this.#state = { stage: "", bytes: 0, total: 0, documents: 0 };
    this.close();
  }

  #tellInTime(): void {
    if (performance.now() - this.#told >= everyMs * 0.9) this.#tell();
  }

  #tell(): void {
    this.#told = performance.now();
    const seconds = (this.#told - this.#since) / 1000;
    const documents = this.#state.documents - this.#documentsBefore;
    const documentsPerSecond = seconds > 0 ? Math.round(documents / seconds) : 0;
    this.tell({ ...this.#state, documentsPerSecond, secondsLeft: this.#estimator.secondsLeft });
  }
}

class LineProgress extends TimedProgress {
  constructor(readonly write: (line: string) => void) {
    super();
  }

  protected override tell(state: State): void {
    const { stage, bytes, total, documents, documentsPerSecond, secondsLeft } = state;
    this.write(JSON.stringify({
      stage,
      bytes,
      bytes_total: total,
      documents,
      documents_per_second: documentsPerSecond,
      // Until the end of the verb, not of the stage.
      eta_seconds: secondsLeft === undefined ? null : Math.round(secondsLeft * 10) / 10,
    }));
  }
}

function sayLeft(seconds: number | undefined): string {
  if (seconds === undefined) return "…";
  const minutes = Math.floor(seconds / 60);
  const rest = Math.round(seconds % 60);
  if (minutes >= 60) return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
  return minutes > 0 ? `${minutes} min ${rest} s` : `${rest} s`;
}

class BarProgress extends TimedProgress {
  #bar: SingleBar | undefined;

  protected override open(stage: string, total: number): void {
    this.#bar = new SingleBar({
      format: `${stage.padEnd(20)} {bar} {percentage} %  {rate} documents/s  {left} left in all`,
      stream: process.stderr,
      hideCursor: true,
    }, Presets.shades_classic);
    this.#bar.start(Math.max(total, 1), 0, { rate: 0, left: sayLeft(undefined) });
  }

  protected override tell({ bytes, documentsPerSecond, secondsLeft }: State): void {
    this.#bar?.update(bytes, { rate: documentsPerSecond, left: sayLeft(secondsLeft) });
  }

  protected override close(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

/** On stderr, in the form that suits what stderr is. */
export function openProgress(): Progress {
  return process.stderr.isTTY ? new BarProgress() : new LineProgress(printError);
}
