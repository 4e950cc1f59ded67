/**
 * A person who calls the API of either system, with a ledger of what each call did: which writes were acknowledged, and
 * which may have happened. What has a write of unknown outcome is not written again, since that write may still arrive.
 */
import type { Db } from "mongodb";
import type { Tokens } from "../../routes/common/tokens.ts";
import type { Random } from "../chaos/random.ts";
import { makeUser } from "../servers/old_backend/users.ts";
import type { Entry } from "./entries.ts";

/** A call and its answer. */
export interface LoadCall {
  kind: "read" | "write";
  method: string;
  path: string;
  /** Time of the request in ms since 1970, and duration in ms. */
  at: number;
  ms: number;
  /** HTTP status; 0 without an answer. */
  status: number;
  /** The beginning of the answer's text or the error, if the status is not 200. */
  text: string;
}

/** Shares of the steps of a client, together at most 1. */
export interface LoadMix {
  task: number;
  user: number;
  change: number;
}

export interface LoadClientOptions {
  /** Number of the client, for its e-mail and the names of what it makes. */
  number: number;
  /** Database of the old backend, which gets the client's user. */
  db: Db;
  tokens: Tokens;
  /** Several API processes. Each call goes to one of them. */
  origins: readonly string[];
  random: Random;
  /** Shortest and longest pause after a step, in ms. */
  pauseMs?: readonly [min: number, max: number];
  /** Shares of the steps that make a task or a user, or change one; all others read. */
  mix?: LoadMix;
  /** Longest wait for an answer in ms, longer than a write is held. */
  patienceMs?: number;
}

type Answer = { status: number; data: unknown };

const mixDefault: LoadMix = { task: 0.3, user: 0.1, change: 0.35 };
const pauseMsDefault = [10, 60] as const;
const patienceMsDefault = 15_000;
const shownMax = 120;

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** Body of a task with two cells. */
export function taskBody(name: string) {
  const values = ["a", "b"].map((value, i) => ({ id: String(i), value: `scene ${value}`, weight: 1 }));
  return {
    task_name: name,
    username: "",
    tags: [{ id: "1", type: "prompt", isVariable: true, name: "scene" }],
    variables: { v0: { tag_id: "1", name: "scene", values } },
    settings: {},
  };
}

export class LoadClient {
  readonly entries: Entry[] = [];
  readonly calls: LoadCall[] = [];
  /** Answers that contradict the ledger. */
  readonly violations: string[] = [];
  readonly #options: Required<Omit<LoadClientOptions, "db" | "tokens">>;
  #count = 0;

  private constructor(readonly email: string, readonly token: string, options: LoadClientOptions) {
    const defaults = { mix: mixDefault, pauseMs: pauseMsDefault, patienceMs: patienceMsDefault };
    this.#options = Object.assign(defaults, options);
  }

  /** Makes a client with a user of the old backend, an admin. */
  static async create(options: LoadClientOptions): Promise<LoadClient> {
    const { number, db, tokens } = options;
    const email = `client${number}@example.com`;
    const user = makeUser(email, "long-enough", new Map([["roles", ["admin"]]]));
    await db.collection("users").insertOne(user);
    const token = await tokens.sign({ sub: String(user._id), email });
    return new LoadClient(email, token, options);
  }

  /** Makes calls until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { random, pauseMs: [min, max] } = this.#options;
    while (!signal.aborted) {
      await this.step();
      await pause(random.between(min, max));
    }
  }

  /** Makes one call. */
  async step(): Promise<void> {
    const { random, mix } = this.#options;
    const draw = random.next();
    const settled = this.entries.filter(({ id, states }) => id !== undefined && states.size === 1);
    const entry = settled.length > 0 ? random.pick(settled) : undefined;
    if (draw < mix.task || !entry) await this.make("task");
    else if (draw < mix.task + mix.user) await this.make("user");
    else if (draw < mix.task + mix.user + mix.change) await this.#change(entry);
    else await this.#read(entry);
  }

  async #call(kind: LoadCall["kind"], method: string, path: string, body?: unknown): Promise<Answer> {
    const { random, origins, patienceMs } = this.#options;
    const at = Date.now();
    const started = performance.now();
    const record = (status: number, text: string) => {
      const ms = performance.now() - started;
      this.calls.push({
        kind,
        method,
        path,
        at,
        ms,
        status,
        text: status === 200 ? "" : text.slice(0, shownMax),
      });
    };
    try {
      const response = await fetch(`${random.pick(origins)}/api/v1${path}`, {
        method,
        headers: { authorization: `Bearer ${this.token}`, "content-type": "application/json" },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(patienceMs),
      });
      const text = await response.text();
      record(response.status, text);
      return { status: response.status, data: response.ok ? JSON.parse(text).data : text };
    } catch (error) {
      record(0, String(error));
      return { status: 0, data: undefined };
    }
  }

  /** Sends a write. @returns its answer, or undefined if it may or may not have happened */
  async #write(method: string, path: string, body?: unknown): Promise<Answer | undefined> {
    const answer = await this.#call("write", method, path, body);
    const { status, data } = answer;
    if (status === 200) return answer;
    // What a client has made is there, and it may change that.
    if (status >= 400 && status < 500) {
      this.violations.push(`${this.email}: ${method} ${path}: ${status} ${String(data).slice(0, shownMax)}`);
    }
    return undefined;
  }

  /** Makes a task or a user. @returns whether that was acknowledged */
  async make(kind: Entry["kind"]): Promise<boolean> {
    const label = `${kind}${this.#options.number}-${++this.#count}`;
    const name = kind === "task" ? label : `${label}@example.com`;
    const entry: Entry = { kind, name, id: undefined, states: new Set(["there"]), made: undefined };
    this.entries.push(entry);
    const from = Date.now();
    const answer = kind === "task"
      ? await this.#write("POST", "/tasks", taskBody(name))
      : await this.#write("POST", "/users/", { email: name, password: "long-enough", fullname: label });
    if (!answer) return false;
    entry.id = (answer.data as { id: string }).id;
    entry.made = [from, Date.now()];
    if (kind === "user") entry.states = new Set([label]);
    return true;
  }

  async #change(entry: Entry): Promise<void> {
    const { kind, id, states } = entry;
    // Most tasks stay, so that there is something to read.
    if (kind === "task" && (states.has("deleted") || !this.#options.random.oneIn(4))) {
      return await this.#read(entry);
    }
    const state = kind === "task" ? "deleted" : `name ${++this.#count}`;
    states.add(state);
    const answer = kind === "task"
      ? await this.#write("DELETE", `/tasks/${id}`)
      : await this.#write("PUT", `/users/${id}`, { fullname: state });
    if (answer) entry.states = new Set([state]);
  }

  /** A client reads what it has written. */
  async #read({ kind, id, name, states }: Entry): Promise<void> {
    const path = kind === "task" ? `/tasks/${id}` : `/users/${id}`;
    const { status, data } = await this.#call("read", "GET", path);
    if (status === 0 || status >= 500) return;
    const found = data as { task_name?: string; fullname?: string };
    if (status === 200 && (kind === "task" ? found.task_name === name : states.has(String(found.fullname)))) {
      return;
    }
    const wanted = kind === "task" ? name : [...states].join(" or ");
    const shown = status === 200 ? String(found.task_name ?? found.fullname) : String(status);
    this.violations.push(`${this.email} does not read its write: wanted '${wanted}', read '${shown}'`);
  }
}
