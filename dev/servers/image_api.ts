/** A fake image API over HTTP. It creates jobs, draws their images, records every POST and follows scripts. */
import type { DrawRequest } from "./draw.ts";
import { readScripts, type Scripts } from "./image_script.ts";

/** A received POST. */
export interface ImagePost {
  /** Whether it was sent to the lumina base URL. */
  lumina: boolean;
  token: string | null;
  /** Body as received. */
  body: string;
  at: Date;
  /** Id of the created job; absent if the POST was rejected. */
  id?: string;
  /** Time at which the job is done, in ms since 1970. */
  doneAt?: number;
}

/** Options of a fake image API. */
export interface ImageApiOptions {
  /** A free port by default. */
  port?: number;
  /** Draws the PNG of a finished job; one grey pixel by default. */
  draw?: (request: DrawRequest) => Uint8Array<ArrayBuffer>;
  /** Time from a job's POST until it is done; may depend on the POST's body. */
  delayMs?: number | ((body: string) => number);
  /** Required token; any token is accepted by default. */
  token?: string;
  /** Fault injection: may delay a call, and its result, if any, replaces the answer. */
  disturb?: (call: ImageCall) => Promise<Response | undefined>;
}

/** Kinds of calls: create a job, poll a job, deliver a notice. */
export type ImageCall = "create" | "poll" | "hook";

/** A running fake image API. */
export interface FakeImageApi extends AsyncDisposable {
  url: string;
  luminaUrl: string;
  /** URL of a webhook that accepts every body. */
  hookUrl: string;
  /** Received POSTs in the order of arrival. */
  posts: ImagePost[];
  /** Bodies that the webhook received. */
  hooks: string[];
  /** Returns the number of polls so far. */
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

/** The fields of a POST's body that are drawn. */
interface ImageInput {
  width: number;
  height: number;
  seed: number;
  rawPrompt: { type?: string; name?: unknown; value?: unknown }[];
}

function readDrawRequest(body: string): DrawRequest {
  const { width, height, seed, rawPrompt } = JSON.parse(body) as ImageInput;
  const words = rawPrompt.map((entry) => String(entry.type === "freetext" ? entry.value : entry.name));
  return { prompt: words.join(", "), width, height, seed };
}

const json = (value: unknown, status = 200) => Response.json(value, { status });
const htmlPage = () =>
  new Response("<html><body>Bad Gateway</body></html>", { headers: { "content-type": "text/html" } });

/** The state of a server: POSTs, jobs by id, and how often each script was followed. */
class FakeServer {
  readonly posts: ImagePost[] = [];
  readonly hooks: string[] = [];
  readonly jobs = new Map<string, Job>();
  readonly playCounts = new Map<string, number>();
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
    const scripts = readScripts(body, this.playCounts);
    if (scripts.create === "nouuid") return json({ ok: true });
    if (scripts.create === "text") return htmlPage();
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
    if (script === "text") return htmlPage();
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
    const bytes = this.options.draw?.(readDrawRequest(job.body)) ?? greyPixel;
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
    const relativePath = lumina ? path.slice("/lumina".length) : path;
    if (request.method === "POST" && relativePath === "/v3/make_image") return this.create(request, lumina);
    if (request.method === "POST" && relativePath === "/hook") return this.hook(request);
    const [, kind, id] = relativePath.match(/^\/(v1\/artifact\/task|images)\/([^/]+?)(?:\.png)?$/) ?? [];
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
 * Starts a fake image API on loopback. Prompts may contain scripts, see {@link readScripts}.
 *
 * @example
 * ```ts
 * import { startImageApi } from "./image_api.ts";
 * await using api = await startImageApi();
 * const answer = await fetch(`${api.url}/v3/make_image`, { method: "POST", body: '{"rawPrompt":[]}' });
 * if (typeof await answer.json() !== "string" || api.posts.length !== 1) throw new Error("no job");
 * ```
 */
export function startImageApi(options: ImageApiOptions = {}): Promise<FakeImageApi> {
  const stopping = new AbortController();
  const fake = new FakeServer(options, stopping.signal);
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: options.port ?? 0, onListen() {} },
    (request) => fake.answer(request),
  );
  fake.origin = `http://127.0.0.1:${server.addr.port}`;
  const stop = async () => {
    stopping.abort();
    await server.shutdown();
  };
  return Promise.resolve({
    url: fake.origin,
    luminaUrl: `${fake.origin}/lumina`,
    hookUrl: `${fake.origin}/hook`,
    posts: fake.posts,
    hooks: fake.hooks,
    countPolls: () => fake.polls,
    stop,
    [Symbol.asyncDispose]: stop,
  });
}

if (import.meta.main) {
  const option = (name: string): string | undefined => {
    const index = Deno.args.indexOf(`--${name}`);
    return index < 0 ? undefined : Deno.args[index + 1];
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
