/** One process of the API, which its parent starts and stops through pipes. */
import { callHttp } from "../http.ts";
import type { Check } from "../ops.ts";
import type { Snapshot } from "./metrics.ts";

const timeoutMs = 1_500;
const answerBytesMax = 4 * 1024 * 1024;

/** What a process prints when it listens. */
interface Ready {
  /** URL that clients use. */
  listening: string;
  /** URL of its own `/live`, `/ready` and `/metrics`. */
  admin: string;
}

async function readReady(stdout: ReadableStream<Uint8Array>): Promise<Ready | undefined> {
  let text = "";
  const { promise, resolve } = Promise.withResolvers<Ready | undefined>();
  const read = async () => {
    for await (const part of stdout.pipeThrough(new TextDecoderStream())) {
      text += part;
      const end = text.indexOf("\n");
      if (end >= 0) resolve(JSON.parse(text.slice(0, end)) as Ready);
    }
    resolve(undefined);
  };
  read().catch(() => resolve(undefined));
  return await promise;
}

/** A started process. It drains when its standard input ends, so that it also ends after its parent was killed. */
export class ApiProcess {
  readonly #child: Deno.ChildProcess;
  /** Resolves when it listens; with undefined if it ended before. */
  readonly ready: Promise<Ready | undefined>;
  /** Resolves with the exit code. */
  readonly ended: Promise<number>;
  #admin: string | undefined;
  #isEnding = false;

  /** @param port the port that it shares with others; 0 selects a free one */
  constructor(port: number) {
    // The permission names `deno`; the path of the running executable may differ.
    this.#child = new Deno.Command("deno", {
      args: [
        ...["run", "--quiet", "--no-prompt", "--unstable-net", "-P=api"],
        ...["--config", new URL("../deno.json", import.meta.url).pathname],
        ...[new URL("../main.ts", import.meta.url).pathname, "--child", String(port)],
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.ready = readReady(this.#child.stdout).then((ready) => {
      this.#admin = ready?.admin;
      return ready;
    });
    this.ended = this.#child.status.then(({ code }) => code);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Asks the process to drain. */
  stop(): void {
    if (this.#isEnding) return;
    this.#isEnding = true;
    this.#child.stdin.close().catch(() => {});
  }

  kill(): void {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // It has already ended.
    }
  }

  async #ask(path: string): Promise<{ status: number; text: string }> {
    if (this.#admin === undefined) throw new Error("it is starting");
    const headers = { accept: "application/json" };
    const url = this.#admin + path;
    const result = await callHttp({
      method: "GET",
      url,
      headers,
      timeoutMs,
      bodyBytesMax: answerBytesMax,
    });
    if (result.kind === "answer") return result;
    throw new Error(result.kind === "slow" ? `no answer within ${timeoutMs} ms` : "it does not answer");
  }

  /** Whether it is ready. Degraded parts are its reason. */
  readonly check: Check = async () => {
    const { status, text } = await this.#ask("/ready");
    const { status: state, ...outcomes } = JSON.parse(text) as Record<string, string>;
    const faults = Object.entries(outcomes).filter(([, outcome]) => outcome !== "ok")
      .map(([name, outcome]) => `${name}: ${outcome.replace(/^degraded: /, "")}`).join("; ");
    if (status !== 200) throw new Error(faults || state);
    if (faults !== "") return faults;
  };

  /** Reads its metrics. @returns undefined if it does not answer */
  async readMetrics(): Promise<Snapshot | undefined> {
    const answer = await this.#ask("/metrics").catch(() => undefined);
    return answer?.status === 200 ? JSON.parse(answer.text) as Snapshot : undefined;
  }
}
