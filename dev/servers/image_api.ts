/** A played image API over real HTTP: makes jobs, draws their images, keeps every POST, and plays scripts. */
import { readScripts, type Scripts } from "./image_script.ts";

/** One POST that came, in the order of coming. */
export interface ImagePost {
  /** It came to the lumina base URL. */
  lumina: boolean;
  token: string | null;
  /** JSON text as it came. */
  body: string;
  at: Date;
  /** The job it made; absent where a script refused. */
  id?: string;
  /** When that job is done, in ms since 1970. */
  doneAt?: number;
}

export interface DrawOrder {
  /** The texts and names of the prompts, joined. */
  prompt: string;
  width: number;
  height: number;
  seed: number;
}

export interface ImageApiOptions {
  /** A free one unless told. */
  port?: number;
  /** Gives the PNG of a finished job; one grey pixel unless told. */
  draw?: (order: DrawOrder) => Uint8Array<ArrayBuffer>;
  /** From a job's POST until it is done; may depend on the POST's body. */
  delayMs?: number | ((body: string) => number);
  /** The token that must come; any is taken unless told. */
  token?: string;
  /** A bad day: waits as long as it likes, and what it gives is answered instead of what was asked for. */
  disturb?: (call: ImageCall) => Promise<Response | undefined>;
}

/** What a caller wants: a job, news of one, or to tell something. */
export type ImageCall = "create" | "poll" | "hook";

export interface PlayedImageApi extends AsyncDisposable {
  url: string;
  luminaUrl: string;
  /** A webhook that takes everything. */
  hookUrl: string;
  posts: ImagePost[];
  /** JSON texts that came to the webhook. */
  hooks: string[];
  /** Polls answered so far. */
  countPolls(): number;
  stop(): Promise<void>;
}

interface Job {
  body: string;
  doneAt: number;
  poll: Scripts["poll"];
}

const greyPixel = Uint8Array.from(
  atob("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="),
  (character) => character.charCodeAt(0),
);

interface MadeImage {
  width: number;
  height: number;
  seed: number;
  rawPrompt: { type?: string; name?: unknown; value?: unknown }[];
}

function readOrder(body: string): DrawOrder {
  const { width, height, seed, rawPrompt } = JSON.parse(body) as MadeImage;
  const words = rawPrompt.map((entry) => String(entry.type === "freetext" ? entry.value : entry.name));
  return { prompt: words.join(", "), width, height, seed };
}

const json = (value: unknown, status = 200) => Response.json(value, { status });
const page = () =>
  new Response("<html><body>Bad Gateway</body></html>", { headers: { "content-type": "text/html" } });

/** The state behind one server: jobs by id, and how often each script has been played. */
class Play {
  readonly posts: ImagePost[] = [];
  readonly hooks: string[] = [];
  readonly jobs = new Map<string, Job>();
  readonly played = new Map<string, number>();
  polls = 0;
  origin = "";

  constructor(readonly options: ImageApiOptions, readonly stopped: AbortSignal) {}

  async create(request: Request, lumina: boolean): Promise<Response> {
    const { token, delayMs = 0, disturb } = this.options;
    const body = await request.text();
    const post: ImagePost = { lumina, token: request.headers.get("x-token"), body, at: new Date() };
    this.posts.push(post);
    if (token !== undefined && post.token !== token) return json({ detail: "bad token" }, 401);
    try {
      JSON.parse(body);
    } catch {
      return json({ detail: "the body is not JSON" }, 400);
    }
    const disturbed = await disturb?.("create");
    if (disturbed) return disturbed;
    const scripts = readScripts(body, this.played);
    if (scripts.create === "nouuid") return json({ ok: true });
    if (scripts.create === "text") return page();
    if (scripts.create === "hang") await this.sleep(30_000);
    else if (scripts.create !== undefined) {
      return json({ detail: "as the script says" }, Number(scripts.create));
    }
    post.id = crypto.randomUUID();
    post.doneAt = Date.now() + (typeof delayMs === "number" ? delayMs : delayMs(body));
    this.jobs.set(post.id, { body, doneAt: post.doneAt, poll: scripts.poll });
    return json(post.id);
  }

  async poll(id: string): Promise<Response> {
    this.polls++;
    const disturbed = await this.options.disturb?.("poll");
    if (disturbed) return disturbed;
    const job = this.jobs.get(id);
    if (!job) return json({ detail: "no such job" }, 404);
    const script = job.poll;
    if (script === "text") return page();
    if (script === "EMPTY") return json({ task_status: "SUCCESS", artifacts: [] });
    if (script !== undefined && /^\d+$/.test(script)) {
      return json({ detail: "as the script says" }, Number(script));
    }
    if (script !== undefined) return json({ task_status: script, artifacts: [] });
    if (Date.now() < job.doneAt) return json({ task_status: "PENDING", artifacts: [] });
    return json({ task_status: "SUCCESS", artifacts: [{ url: `${this.origin}/images/${id}.png` }] });
  }

  image(id: string): Response {
    const job = this.jobs.get(id);
    if (!job) return json({ detail: "no such image" }, 404);
    const bytes = this.options.draw?.(readOrder(job.body)) ?? greyPixel;
    return new Response(bytes, { headers: { "content-type": "image/png", "cache-control": "max-age=3600" } });
  }

  async hook(request: Request): Promise<Response> {
    const text = await request.text();
    const disturbed = await this.options.disturb?.("hook");
    if (disturbed) return disturbed;
    this.hooks.push(text);
    return json({ code: 0, msg: "success" });
  }

  answer(request: Request): Response | Promise<Response> {
    const path = new URL(request.url).pathname;
    const lumina = path.startsWith("/lumina/");
    const within = lumina ? path.slice("/lumina".length) : path;
    if (request.method === "POST" && within === "/v3/make_image") return this.create(request, lumina);
    if (request.method === "POST" && within === "/hook") return this.hook(request);
    const [, kind, id] = within.match(/^\/(v1\/artifact\/task|images)\/([^/]+?)(?:\.png)?$/) ?? [];
    if (request.method === "GET" && id !== undefined) {
      return kind === "images" ? this.image(id) : this.poll(decodeURIComponent(id));
    }
    return json({ detail: "Not Found" }, 404);
  }

  private async sleep(ms: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.stopped.addEventListener("abort", () => {
        clearTimeout(timer);
        resolve();
      }, { once: true });
    });
  }
}

/**
 * Starts it on loopback. Scripts stand in the prompts, see {@link readScripts}.
 *
 * @example
 * ```ts
 * import { startImageApi } from "./image_api.ts";
 * await using api = await startImageApi();
 * const answer = await fetch(`${api.url}/v3/make_image`, { method: "POST", body: '{"rawPrompt":[]}' });
 * if (typeof await answer.json() !== "string" || api.posts.length !== 1) throw new Error("no job");
 * ```
 */
export function startImageApi(options: ImageApiOptions = {}): Promise<PlayedImageApi> {
  const stopping = new AbortController();
  const play = new Play(options, stopping.signal);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: options.port ?? 0, onListen() {} },
    (request) => play.answer(request),
  );
  play.origin = `http://127.0.0.1:${server.addr.port}`;
  const stop = async () => {
    stopping.abort();
    await server.shutdown();
  };
  return Promise.resolve({
    url: play.origin,
    luminaUrl: `${play.origin}/lumina`,
    hookUrl: `${play.origin}/hook`,
    posts: play.posts,
    hooks: play.hooks,
    countPolls: () => play.polls,
    stop,
    [Symbol.asyncDispose]: stop,
  });
}

if (import.meta.main) {
  const option = (name: string): string | undefined => {
    const place = Deno.args.indexOf(`--${name}`);
    return place < 0 ? undefined : Deno.args[place + 1];
  };
  const token = option("token");
  const { drawCell } = await import("./draw.ts");
  const api = await startImageApi({
    port: Number(option("port") ?? 9000),
    delayMs: Number(option("delay") ?? 1000),
    draw: drawCell,
    ...(token === undefined ? {} : { token }),
  });
  console.log(`IMAGE_API_URL=${api.url} LUMINA_API_URL=${api.luminaUrl} NOTIFY_URLS=${api.hookUrl}`);
}
