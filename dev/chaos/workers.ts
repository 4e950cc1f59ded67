/** Worker processes under a supervisor that restarts them. Each worker has its own proxies to the servers. */
import { findFreePort } from "../servers/ports.ts";
import { noSettings } from "../servers/programs.ts";
import { type Clock, createClock } from "./clock.ts";
import { type Proxy, startProxy } from "./proxy.ts";

/** One line of a worker's log. */
export interface LogLine {
  worker: number;
  pid: number;
  /** Seconds since 1970. */
  at: number;
  text: string;
}

/** Options that all workers of a rig share. */
export interface WorkerOptions {
  /** Folder of the project whose worker runs. */
  root: URL;
  env: Record<string, string>;
  databaseUrl: (port: number) => string;
  ports: { postgres: number; redis: number; api: number };
  log: LogLine[];
  /** Whether each worker gets an adjustable clock. */
  clocks: boolean;
}

const seconds = () => Date.now() / 1000;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Reads the arguments with which `deno task worker` runs Deno. */
async function readCommand(root: URL): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  return String(tasks.worker.command).split(" ").slice(1);
}

/**
 * A worker process that is restarted after it ends.
 *
 * States and moves: stopped → starting (`start()`) → ready (the process prints its name) → stopped (the process ends)
 * → starting again after `restartMs`. `signal()` freezes and resumes a process. `close()` ends it for good.
 */
export class SupervisedWorker {
  readonly number: number;
  readonly postgres: Proxy;
  readonly redis: Proxy;
  readonly api: Proxy;
  readonly #options: WorkerOptions;
  readonly #args: string[];
  #child: Deno.ChildProcess | undefined;
  #adminPort = 0;
  #closed = false;
  /** Settles when the present process has ended and its successor, if any, was started. */
  #followed: Promise<void> | undefined;
  /** Time between the end of a process and the start of its successor, in milliseconds. */
  restartMs = 700;
  /** Number of processes started so far. */
  starts = 0;
  /** Whether the process is stopped by SIGSTOP. */
  frozen = false;
  /** Whether the process has reported that it is ready. */
  ready = false;
  readonly clock: Clock | undefined;

  constructor(number: number, args: string[], options: WorkerOptions, clock: Clock | undefined) {
    this.number = number;
    this.clock = clock;
    this.#args = args;
    this.#options = options;
    this.postgres = startProxy(options.ports.postgres);
    this.redis = startProxy(options.ports.redis);
    this.api = startProxy(options.ports.api);
  }

  get proxies(): Proxy[] {
    return [this.postgres, this.redis, this.api];
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Starts a process. */
  start(): void {
    const { env, root, databaseUrl } = this.#options;
    this.#adminPort = findFreePort();
    this.starts++;
    const api = `http://127.0.0.1:${this.api.port}`;
    const child = new Deno.Command(Deno.execPath(), {
      args: this.#args,
      cwd: root,
      env: {
        ...noSettings,
        ...env,
        DATABASE_URL: databaseUrl(this.postgres.port),
        REDIS_URL: `redis://127.0.0.1:${this.redis.port}/0`,
        IMAGE_API_URL: api,
        LUMINA_API_URL: `${api}/lumina`,
        NOTIFY_URLS: `${api}/hook`,
        ADMIN_PORT: String(this.#adminPort),
        ...this.clock?.env,
      },
      stdin: "null",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    this.#child = child;
    const read = Promise.all([
      this.#readOutput(child.pid, child.stdout, true),
      this.#readOutput(child.pid, child.stderr, false),
    ]);
    this.#followed = this.#follow(child, read);
  }

  async #follow(child: Deno.ChildProcess, read: Promise<unknown>): Promise<void> {
    const { code, signal } = await child.status;
    await read.catch(() => {});
    this.#log(
      child.pid,
      `process ${child.pid} ended${this.ready ? "" : " before it was ready"}: ${signal ?? code}`,
    );
    this.#child = undefined;
    this.frozen = this.ready = false;
    if (this.#closed) return;
    await pause(this.restartMs);
    if (!this.#closed) this.start();
  }

  #log(pid: number, text: string): void {
    this.#options.log.push({ worker: this.number, pid, at: seconds(), text });
  }

  async #readOutput(pid: number, stream: ReadableStream<Uint8Array>, out: boolean): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#log(pid, line);
      if (out && lines.some((line) => line.startsWith('{"worker"'))) this.ready = true;
    }
  }

  /** Sends a signal. @returns false if no process is running at the moment */
  signal(name: Deno.Signal): boolean {
    try {
      this.#child?.kill(name);
    } catch {
      return false;
    }
    if (this.#child && name === "SIGSTOP") this.frozen = true;
    if (name === "SIGCONT") this.frozen = false;
    return this.#child !== undefined;
  }

  /** Reads a metric, summed over its labels. @returns undefined if the process does not answer */
  async readMetric(name: string): Promise<number | undefined> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#adminPort}/metrics`, {
        signal: AbortSignal.timeout(5_000),
      });
      const lines = (await answer.text()).split("\n").filter((line) => line.match(/^\w+/)?.[0] === name);
      return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
    } catch {
      return undefined;
    }
  }

  /** Kills the process and does not restart it. */
  async close(): Promise<void> {
    this.#closed = true;
    this.signal("SIGKILL");
    await this.#followed;
    for (const proxy of this.proxies) proxy.stop();
    await this.clock?.[Symbol.asyncDispose]();
  }
}

/** Starts `count` workers without waiting until they are ready. */
export async function startWorkers(count: number, options: WorkerOptions): Promise<SupervisedWorker[]> {
  const args = await readCommand(options.root);
  const workers: SupervisedWorker[] = [];
  for (let i = 0; i < count; i++) {
    workers.push(new SupervisedWorker(i, args, options, options.clocks ? await createClock() : undefined));
  }
  for (const worker of workers) worker.start();
  return workers;
}
