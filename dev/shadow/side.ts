/** One of the two backends: requests go out as they were made up, answers come back ready to compare. */
import { AppError } from "../../errors.ts";
import { type Json, parseJson } from "../../json.ts";
import { bodyBytes, fill, type Step, targetOf, type Variables } from "./request.ts";

export interface Answer {
  /** 0 when none came. */
  status: number;
  /** Names in lower case. */
  headers: Map<string, string>;
  /** Parsed where it says it is JSON, else its text; undefined when empty. */
  body: { json: Json } | { text: string } | undefined;
}

const answerMsMax = 30_000;

function readBody(text: string, contentType: string): Answer["body"] {
  if (text === "") return undefined;
  if (!contentType.includes("json")) return { text };
  try {
    return { json: parseJson(text) };
  } catch {
    return { text };
  }
}

export class Side implements Disposable {
  readonly variables: Variables = new Map();
  /** Without a slash at its end. */
  readonly origin: string;
  readonly #client = Deno.createHttpClient({ http2: false });

  /** @throws AppError usage when `url` is not one */
  constructor(readonly name: "old" | "new", url: string) {
    if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
      throw new AppError(
        "usage",
        `reading --${name} '${url}': wanted a URL that starts with http:// or https://`,
      );
    }
    this.origin = url.replace(/\/+$/, "");
  }

  /** Sends one; redirects are not followed. */
  async send(step: Step): Promise<Answer> {
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(new Error(`no answer in ${answerMsMax} ms`)), answerMsMax);
    try {
      const headers = new Headers({ "accept-encoding": "identity" });
      for (const [name, value] of step.headers) headers.append(name, fill(value, this.variables));
      const body = bodyBytes(step.body, this.variables);
      const response = await fetch(fill(this.origin + targetOf(step), this.variables), {
        method: step.method,
        headers,
        body,
        redirect: "manual",
        signal: late.signal,
        client: this.#client,
      });
      const text = await response.text();
      const type = response.headers.get("content-type") ?? "";
      return {
        status: response.status,
        headers: new Map(response.headers),
        body: step.method === "HEAD" ? undefined : readBody(text, type),
      };
    } catch (error) {
      const text = `no answer: ${(error as Error).message.replaceAll(this.origin, "")}`;
      return { status: 0, headers: new Map(), body: { text } };
    } finally {
      clearTimeout(timer);
    }
  }

  /** Asks for a path with this side's token. @returns the `data` of a 200, else undefined */
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

  /** @throws AppError usage when it does not answer or refuses the sign-in */
  async signIn(email: string, password: string): Promise<void> {
    const form = new URLSearchParams({ username: email, password });
    const answer = await this.send({
      method: "POST",
      path: "/api/v1/auth/login",
      query: [],
      headers: [["Content-Type", "application/x-www-form-urlencoded"]],
      body: new TextEncoder().encode(String(form)),
    });
    const token = pointer(answer, "/data/access_token");
    if (typeof token !== "string") {
      throw new AppError(
        "usage",
        `signing in as '${email}' at --${this.name} ${this.origin}: wanted 200 with a token, got ${
          describe(answer)
        }`,
      );
    }
    this.variables.set("token", token);
    this.variables.set("email", encodeURIComponent(email)).set("password", encodeURIComponent(password));
  }

  /** @throws AppError usage when nothing answers at its URL */
  async requireAnswer(): Promise<void> {
    const answer = await this.send({ method: "GET", path: "/health", query: [], headers: [], body: null });
    if (answer.status !== 200) {
      throw new AppError(
        "usage",
        `asking --${this.name} ${this.origin}/health: wanted 200, got ${describe(answer)}`,
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

/** The value at a JSON pointer of an answer's body. */
export function pointer(answer: Answer, path: string): Json | undefined {
  let here: Json | undefined = answer.body && "json" in answer.body ? answer.body.json : undefined;
  for (const part of path.split("/").slice(1)) {
    if (here instanceof Map) here = here.get(part);
    else if (Array.isArray(here)) here = here[Number(part)];
    else return undefined;
  }
  return here;
}
