/** Worker processes as their users run them, each behind proxies of its own, and a supervisor that starts them again. */
import { findFreePort } from "../servers/ports.ts";
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

export interface FleetOptions {
  /** Folder of the project whose worker runs. */
  root: URL;
  env: Record<string, string>;
  databaseUrl: (port: number) => string;
  ports: { postgres: number; redis: number; api: number };
  log: LogLine[];
  /** Gives each place a clock of its own. */
  clocks: boolean;
}

const seconds = () => Date.now() / 1000;
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The worker's command, as `deno task worker` runs it. */
async function readCommand(root: URL): Promise<string[]> {
  const { tasks } = JSON.parse(await Deno.readTextFile(new URL("deno.json", root)));
  return String(tasks.worker.command).split(" ").slice(1);
}

/** One place in the fleet: whatever dies there is started again. */
export class Place {
  readonly number: number;
  readonly postgres: Proxy;
  readonly redis: Proxy;
  readonly api: Proxy;
  readonly #options: FleetOptions;
  readonly #args: string[];
  #child: Deno.ChildProcess | undefined;
  #adminPort = 0;
  #closed = false;
  #again: Promise<void> | undefined;
  /** Before a dead process is followed by another. */
  restartMs = 700;
  starts = 0;
  frozen = false;
  /** The process said that it is ready. */
  ready = false;
  readonly clock: Clock | undefined;

  constructor(number: number, args: string[], options: FleetOptions, clock: Clock | undefined) {
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

  start(): void {
    const { env, root, databaseUrl } = this.#options;
    this.#adminPort = findFreePort();
    this.starts++;
    const api = `http://127.0.0.1:${this.api.port}`;
    const child = new Deno.Command(Deno.execPath(), {
      args: this.#args,
      cwd: root,
      env: {
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
    const heard = Promise.all([
      this.#hear(child.pid, child.stdout, true),
      this.#hear(child.pid, child.stderr, false),
    ]);
    this.#again = this.#follow(child, heard);
  }

  async #follow(child: Deno.ChildProcess, heard: Promise<unknown>): Promise<void> {
    const { code, signal } = await child.status;
    await heard.catch(() => {});
    this.#say(
      child.pid,
      `process ${child.pid} ended${this.ready ? "" : " before it was ready"}: ${signal ?? code}`,
    );
    this.#child = undefined;
    this.frozen = this.ready = false;
    if (this.#closed) return;
    await pause(this.restartMs);
    if (!this.#closed) this.start();
  }

  #say(pid: number, text: string): void {
    this.#options.log.push({ worker: this.number, pid, at: seconds(), text });
  }

  async #hear(pid: number, stream: ReadableStream<Uint8Array>, out: boolean): Promise<void> {
    let rest = "";
    for await (const text of stream.pipeThrough(new TextDecoderStream())) {
      const lines = (rest + text).split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.#say(pid, line);
      if (out && lines.some((line) => line.startsWith('{"worker"'))) this.ready = true;
    }
  }

  /** Sends a signal; a place whose process is just being started again has nobody to hear it. */
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

  /** A value of the process' metrics, summed over labels; undefined where it does not answer. */
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

  /** Ends the process for good, at once. */
  async close(): Promise<void> {
    this.#closed = true;
    this.signal("SIGKILL");
    await this.#again;
    for (const proxy of this.proxies) proxy.stop();
    await this.clock?.[Symbol.asyncDispose]();
  }
}

/** Starts `count` places and waits until their workers are at work. */
export async function startFleet(count: number, options: FleetOptions): Promise<Place[]> {
  const args = await readCommand(options.root);
  const places: Place[] = [];
  for (let i = 0; i < count; i++) {
    places.push(new Place(i, args, options, options.clocks ? await createClock() : undefined));
  }
  for (const place of places) place.start();
  return places;
}
