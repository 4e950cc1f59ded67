/** How far a long verb is: a bar with rate and time left on a terminal, JSON lines elsewhere. */
import { Presets, SingleBar } from "cli-progress";
import process from "node:process";
import { printError } from "../../process.ts";

export interface Progress {
  /** A new stage of `total` bytes; 0 where it has no measure. */
  begin(stage: string, total: number): void;
  /** What an earlier run has done of the stage: it counts as done, not as fast. */
  resume(bytes: number, documents: number): void;
  add(bytes: number, documents: number): void;
  end(): void;
}

/** Says nothing. */
export const silentProgress: Progress = { begin() {}, resume() {}, add() {}, end() {} };

const everyMs = 1000;

class LineProgress implements Progress {
  #stage = "";
  #total = 0;
  #bytes = 0;
  #documents = 0;
  #before = { bytes: 0, documents: 0 };
  #since = 0;
  #told = 0;

  constructor(readonly write: (line: string) => void) {}

  begin(stage: string, total: number) {
    this.end();
    [this.#stage, this.#total, this.#bytes, this.#documents] = [stage, total, 0, 0];
    this.#before = { bytes: 0, documents: 0 };
    this.#since = this.#told = performance.now();
    this.#tell();
  }

  resume(bytes: number, documents: number) {
    this.#before = { bytes, documents };
    this.#bytes += bytes;
    this.#documents += documents;
    this.#tell();
  }

  add(bytes: number, documents: number) {
    this.#bytes += bytes;
    this.#documents += documents;
    if (performance.now() - this.#told >= everyMs) this.#tell();
  }

  end() {
    if (this.#stage !== "" && this.#bytes > 0) this.#tell();
    this.#stage = "";
  }

  #tell() {
    this.#told = performance.now();
    const seconds = (this.#told - this.#since) / 1000;
    const [bytes, documents] = [this.#bytes - this.#before.bytes, this.#documents - this.#before.documents];
    const rate = seconds > 0 ? bytes / seconds : 0;
    this.write(JSON.stringify({
      stage: this.#stage,
      bytes: this.#bytes,
      bytes_total: this.#total,
      documents: this.#documents,
      documents_per_second: seconds > 0 ? Math.round(documents / seconds) : 0,
      eta_seconds: rate > 0 ? Math.round((this.#total - this.#bytes) / rate * 10) / 10 : null,
    }));
  }
}

class BarProgress implements Progress {
  #bar: SingleBar | undefined;
  #documents = 0;
  #since = 0;

  begin(stage: string, total: number) {
    this.end();
    this.#documents = 0;
    this.#since = performance.now();
    this.#bar = new SingleBar({
      format: `${stage.padEnd(20)} {bar} {percentage} %  {rate} documents/s  {eta_formatted} left`,
      stream: process.stderr,
      etaBuffer: 50,
      hideCursor: true,
    }, Presets.shades_classic);
    this.#bar.start(Math.max(total, 1), 0, { rate: 0 });
  }

  resume(bytes: number) {
    this.#bar?.increment(bytes);
  }

  add(bytes: number, documents: number) {
    this.#documents += documents;
    const seconds = (performance.now() - this.#since) / 1000;
    this.#bar?.increment(bytes, { rate: Math.round(this.#documents / Math.max(seconds, 0.001)) });
  }

  end() {
    this.#bar?.stop();
    this.#bar = undefined;
  }
}

/** On stderr, in the form that suits what stderr is. */
export function openProgress(): Progress {
  return process.stderr.isTTY ? new BarProgress() : new LineProgress(printError);
}
