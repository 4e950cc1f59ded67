/** One of the two compared backends: it sends requests and parses answers. */
import { AppError } from "../../errors.ts";
import type { Json } from "../../json.ts";
import { type Answer, readBody, valueAt } from "../../comparison/answer.ts";
import { type ExactAnswer, sendExactly } from "./exact_request.ts";
import { hasDotSegments } from "../../comparison/paths.ts";
import { type Step, targetOf } from "../../comparison/request.ts";
import { bodyBytes, fill, type Variables } from "./placeholders.ts";

const answerMsMax = 30_000;

/** The old or the new backend, with its saved values. */
export class Side implements Disposable {
  readonly variables: Variables = new Map();
  /** URL without a slash at its end. */
  readonly origin: string;
  readonly #client = Deno.createHttpClient({ http2: false });

  /** @throws AppError usage if `url` is not an HTTP URL */
  constructor(readonly name: "old" | "new", url: string) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw new AppError(
        "usage",
        `reading --${name} '${url}': expected a URL that starts with http:// or https://`,
      );
    }
    this.origin = url.replace(/\/+$/, "");
  }

  /** Sends a request. Redirects are not followed. */
  async send(step: Step): Promise<Answer> {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new Error(`no answer in ${answerMsMax} ms`)), answerMsMax);
    try {
      const headers = new Headers({ "accept-encoding": "identity" });
      for (const [name, value] of step.headers) headers.append(name, fill(value, this.variables));
      const body = bodyBytes(step.body, this.variables);
      const target = fill(targetOf(step), this.variables);
      const request = { method: step.method, headers, body, signal: timeout.signal };
      const answer = hasDotSegments(fill(step.path, this.variables))
        ? await sendExactly({ origin: this.origin, target, ...request })
        : await this.#fetch(target, request);
      const type = answer.headers.get("content-type") ?? "";
      return {
        status: answer.status,
        headers: new Map(answer.headers),
        body: step.method === "HEAD" ? undefined : readBody(answer.text, type),
      };
    } catch (error) {
      const text = `no answer: ${(error as Error).message.replaceAll(this.origin, "")}`;
      return { status: 0, headers: new Map(), body: { text } };
    } finally {
      clearTimeout(timer);
    }
  }

  async #fetch(target: string, request: RequestInit): Promise<ExactAnswer> {
    const response = await fetch(this.origin + target, {
      ...request,
      redirect: "manual",
      client: this.#client,
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }

  /** Reads a path with the token of this backend. @returns `data` of an answer with status 200, otherwise undefined */
  async read(path: string): Promise<Json | undefined> {
    const answer = await this.send({
      method: "GET",
      path,
      query: [],
      headers: [["Authorization", "Bearer ${token}"]],
      body: null,
    });
    if (answer.status !== 200 || !answer.body || !("json" in answer.body)) return undefined;
    return answer.body.json instanceof Map ? answer.body.json.get("data") : undefined;
  }

  /** Signs in and saves the token. @throws AppError usage if there is no answer or the sign-in is rejected */
  async signIn(email: string, password: string): Promise<void> {
    const form = new URLSearchParams({ username: email, password });
    const answer = await this.send({
      method: "POST",
      path: "/api/v1/auth/login",
      query: [],
      headers: [["Content-Type", "application/x-www-form-urlencoded"]],
      body: new TextEncoder().encode(String(form)),
    });
    const token = valueAt(answer, "/data/access_token");
    if (typeof token !== "string") {
      throw new AppError(
        "usage",
        `signing in as '${email}' at --${this.name} ${this.origin}: expected 200 with a token, got ${
          describe(answer)
        }`,
      );
    }
    this.variables.set("token", token);
    this.variables.set("email", encodeURIComponent(email)).set("password", encodeURIComponent(password));
  }

  /** Checks that the backend answers. @throws AppError usage if it does not */
  async requireAnswer(): Promise<void> {
    const answer = await this.send({ method: "GET", path: "/health", query: [], headers: [], body: null });
    if (answer.status !== 200) {
      throw new AppError(
        "usage",
        `requesting --${this.name} ${this.origin}/health: expected 200, got ${describe(answer)}`,
      );
    }
  }

  [Symbol.dispose](): void {
    this.#client.close();
  }
}

function describe({ status, body }: Answer): string {
  const text = body && "text" in body ? body.text.slice(0, 200) : "";
  return status === 0 ? text : `${status}${text ? `: ${text}` : ""}`;
}
