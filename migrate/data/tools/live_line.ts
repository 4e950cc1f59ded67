/** One line of state that a running command keeps showing: rewritten in place on a terminal, JSON lines elsewhere. */
import process from "node:process";
import { printError } from "../../../process.ts";

const clear = "\r\x1b[K";

/** Shows a state on stderr. Other lines go through note(), which keeps them apart from it. */
export class LiveLine {
  #isShown = false;
  #last = "";
  readonly isTerminal: boolean;

  constructor({ json, quiet }: { json: boolean; quiet: boolean }) {
    this.quiet = quiet;
    this.isTerminal = !json && process.stderr.isTTY;
  }

  readonly quiet: boolean;

  /** Shows a state. Elsewhere than on a terminal, one that has not changed is not repeated. */
  show(text: string, state: Record<string, unknown>): void {
    if (this.quiet) return;
    const line = this.isTerminal ? text : JSON.stringify(state);
    if (this.isTerminal) process.stderr.write(clear + line.slice(0, (process.stderr.columns ?? 80) - 1));
    else if (line !== this.#last) printError(line);
    this.#last = line;
    this.#isShown = this.isTerminal;
  }

  /** Prints a line that stays. */
  note(line: string): void {
    this.clear();
    if (!this.quiet) printError(line);
  }

  /** Removes the state from a terminal. */
  clear(): void {
    if (this.#isShown) process.stderr.write(clear);
    this.#isShown = false;
  }
}
