/** Progress of long commands: a bar with rate and time left on a terminal, JSON lines elsewhere. */
import { Presets, SingleBar } from "cli-progress";
import process from "node:process";
import { printError } from "../../../process.ts";
import { Estimator, type Stage } from "./eta.ts";

export interface Progress {
  /** Sets the stages for the estimate of the time left, or updates them when more is known. */
  plan(stages: Stage[]): void;
  /** Begins a stage of `total` bytes; 0 if its progress is unknown until it ends. */
  begin(stage: string, total: number): void;
  /** Adds work that an earlier run has done. It does not count for the speed. */
  resume(bytes: number, documents: number): void;
  /** Restarts the measurement of speed, because another collection has another cost. */
  resetSpeed(): void;
  /** Adds work that was done since the last call. */
  add(bytes: number, documents: number): void;
  end(): void;
}

/** Shows nothing. */
export const silentProgress: Progress = {
  plan() {},
  begin() {},
  resume() {},
  resetSpeed() {},
  add() {},
  end() {},
};

const intervalMs = 1000;

/** Reported state of a stage. */
interface State {
  stage: string;
  bytes: number;
  total: number;
  documents: number;
  documentsPerSecond: number;
  secondsLeft: number | undefined;
}

/** Reports the state once a second: not more often, and also while nothing changes. */
abstract class TimedProgress implements Progress {
  readonly #estimator = new Estimator();
  #state: Omit<State, "documentsPerSecond" | "secondsLeft"> = { stage: "", bytes: 0, total: 0, documents: 0 };
  #documentsBefore = 0;
  #stageStart = 0;
  #lastReport = 0;
  #heartbeat: ReturnType<typeof setInterval> | undefined;

  protected abstract show(state: State): void;
  protected open(_stage: string, _total: number): void {}
  protected close(): void {}

  plan(stages: Stage[]): void {
    this.#estimator.plan(stages);
  }

  begin(stage: string, total: number): void {
    this.#finish();
    this.#state = { stage, bytes: 0, total, documents: 0 };
    this.#documentsBefore = 0;
    this.#stageStart = performance.now();
    this.#estimator.begin(stage, total);
    this.open(stage, total);
    this.#report();
    this.#heartbeat = setInterval(() => this.#reportIfDue(), intervalMs);
    Deno.unrefTimer(this.#heartbeat);
  }

  resume(bytes: number, documents: number): void {
    this.#documentsBefore = documents;
    this.#state.bytes += bytes;
    this.#state.documents += documents;
    this.#estimator.resume(bytes);
    this.#report();
  }

  resetSpeed(): void {
    this.#estimator.resetSpeed();
  }

  add(bytes: number, documents: number): void {
    this.#state.bytes += bytes;
    this.#state.documents += documents;
    this.#estimator.add(bytes);
    this.#reportIfDue();
  }

  end(): void {
    this.#finish();
    this.#estimator.end();
  }

  #finish(): void {
    clearInterval(this.#heartbeat);
    if (this.#state.bytes > 0) this.#report();
    this.#state = { stage: "", bytes: 0, total: 0, documents: 0 };
    this.close();
  }

  #reportIfDue(): void {
    if (performance.now() - this.#lastReport >= intervalMs * 0.9) this.#report();
  }

  #report(): void {
    this.#lastReport = performance.now();
    const seconds = (this.#lastReport - this.#stageStart) / 1000;
    const documents = this.#state.documents - this.#documentsBefore;
    const documentsPerSecond = seconds > 0 ? Math.round(documents / seconds) : 0;
    this.show({ ...this.#state, documentsPerSecond, secondsLeft: this.#estimator.secondsLeft });
  }
}

class LineProgress extends TimedProgress {
  constructor(readonly write: (line: string) => void) {
    super();
  }

  protected override show(state: State): void {
    const { stage, bytes, total, documents, documentsPerSecond, secondsLeft } = state;
    this.write(JSON.stringify({
      stage,
      bytes,
      bytes_total: total,
      documents,
      documents_per_second: documentsPerSecond,
      // Until the end of the command, not of the stage.
      eta_seconds: secondsLeft === undefined ? null : Math.round(secondsLeft * 10) / 10,
    }));
  }
}

function formatLeft(seconds: number | undefined): string {
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
    this.#bar.start(Math.max(total, 1), 0, { rate: 0, left: formatLeft(undefined) });
  }

  protected override show({ bytes, documentsPerSecond, secondsLeft }: State): void {
    this.#bar?.update(bytes, { rate: documentsPerSecond, left: formatLeft(secondsLeft) });
  }

  protected override close(): void {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

/** Opens a progress display on stderr: a bar on a terminal, else JSON lines. */
export function openProgress(): Progress {
  return process.stderr.isTTY ? new BarProgress() : new LineProgress(printError);
}
