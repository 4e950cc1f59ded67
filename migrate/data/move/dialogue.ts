/** The conversation with a person, or with a script that has said yes to everything beforehand. */
import process from "node:process";
import { createInterface } from "node:readline";
import { AppError } from "../../../errors.ts";
import { LiveLine } from "../tools/live_line.ts";

/** Thrown when the operator leaves the guide. All progress is stored; the same command continues later. */
export class Left extends Error {}

const interrupted = () =>
  new AppError("interrupted", "move: left on request; run the same command again to go on");

export interface DialogueOptions {
  /** Whether every question is answered with yes beforehand. */
  yes: boolean;
  json: boolean;
  quiet: boolean;
  print: (text: string) => void;
  signal: AbortSignal;
}

export class Dialogue {
  readonly live: LiveLine;
  #lines: AsyncIterator<string> | undefined;

  constructor(readonly options: DialogueOptions) {
    const { json, quiet } = options;
    this.live = new LiveLine({ json, quiet });
  }

  /** Whether a script answers the questions, and not a person. */
  get isScript(): boolean {
    return this.options.yes;
  }

  /** Prints text for a person. With `--json`, the result at the end says it. */
  say(text: string): void {
    this.live.clear();
    if (!this.options.json) this.options.print(text);
  }

  /** Prints a note to stderr. */
  note(text: string): void {
    this.live.note(text);
  }

  /**
   * Asks a question.
   *
   * @param answers what each key means; the first one is the answer of an empty line, and of a script
   * @returns the key
   * @throws Left on `q`; AppError usage when nobody answers, interrupted
   */
  async ask<Key extends string>(question: string, answers: Record<Key, string>): Promise<Key> {
    const keys = Object.keys(answers) as Key[];
    if (this.options.yes) return keys[0]!;
    const texts = keys.map((key, i) => `${key} = ${answers[key]}${i === 0 ? " (Enter)" : ""}`);
    while (true) {
      this.live.clear();
      process.stderr.write(`${question}\n  ${texts.join(", ")}, q = leave: `);
      const line = (await this.#read()).trim().toLowerCase();
      if (line === "q" || line === "quit") throw new Left();
      if (line === "") return keys[0]!;
      const found = keys.find((key) => key === line || answers[key] === line) ??
        (line === "yes"
          ? keys.find((key) => key === "y")
          : line === "no"
          ? keys.find((key) => key === "n")
          : undefined);
      if (found !== undefined) return found;
      process.stderr.write(`  '${line.slice(0, 40)}' is none of ${[...keys, "q"].join(", ")}\n`);
    }
  }

  async #read(): Promise<string> {
    this.#lines ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    const { signal } = this.options;
    const aborted = Promise.withResolvers<never>();
    const abort = () => aborted.reject(interrupted());
    if (signal.aborted) throw interrupted();
    signal.addEventListener("abort", abort, { once: true });
    try {
      const { value, done } = await Promise.race([this.#lines.next(), aborted.promise]);
      if (!done) return value;
      throw new AppError("usage", "move: nobody answers the question; add --yes, or run it in a terminal");
    } finally {
      signal.removeEventListener("abort", abort);
      aborted.promise.catch(() => {});
    }
  }

  /** @throws AppError interrupted */
  check(): void {
    if (!this.options.signal.aborted) return;
    this.live.clear();
    throw interrupted();
  }
}
