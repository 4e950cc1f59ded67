/**
 * People and the executor of the played old backend, beside the direct writer. A log keeps what each acknowledged call must
 * have left in MongoDB.
 */
import type { Db } from "mongodb";
import { type OldBackend, startOldBackend } from "../../servers/old_backend.ts";
import type { Random } from "../random.ts";
import { pause } from "../servers.ts";

const secret = "chaos-secret-key";
const admin = { email: "chaos-admin@example.com", password: "chaos-admin-1" };

/** What a document may be: states that an acknowledged call, or one without an answer, may have left. */
interface Known {
  id: string;
  states: Set<string>;
}

const gone = "gone";

export class OldBackendClients implements AsyncDisposable {
  readonly #users: Known[] = [];
  readonly #tasks: (Known & { subtasks: number })[] = [];
  #token = "";
  #calls = 0;
  acknowledged = 0;

  private constructor(readonly old: OldBackend, readonly db: Db, readonly random: Random) {}

  static async start(mongoUrl: string, db: Db, random: Random): Promise<OldBackendClients> {
    const old = await startOldBackend({
      mongoUrl,
      database: db.databaseName,
      secret,
      executor: { slots: 20, attemptMs: 60, failShare: 0.2 },
    });
    await old.addUser(admin.email, admin.password, ["admin"]);
    return new OldBackendClients(old, db, random);
  }

  /** Calls the backend until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#token === "") await this.#login();
      else await this.#step();
      await pause(this.random.between(5, 60));
    }
  }

  async #login(): Promise<void> {
    const body = new URLSearchParams({ username: admin.email, password: admin.password });
    const response = await fetch(`${this.old.origin}/api/v1/auth/login`, { method: "POST", body });
    const text = await response.text();
    if (response.status === 200) this.#token = JSON.parse(text).data.access_token;
  }

  /** @returns the payload of a 200, or undefined if the call's outcome is unknown */
  async #call(method: string, path: string, json?: unknown): Promise<{ id: string } | null | undefined> {
    const response = await fetch(`${this.old.origin}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json" },
      ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    });
    const text = await response.text();
    if (response.status !== 200) return undefined;
    this.acknowledged++;
    return JSON.parse(text).data;
  }

  /** Calls a route that leaves a document in a state. */
  async #change(known: Known, state: string, method: string, path: string, json?: unknown): Promise<void> {
    known.states.add(state);
    if (await this.#call(method, path, json) !== undefined) known.states = new Set([state]);
  }

  async #step(): Promise<void> {
    const draw = this.random.next();
    const number = ++this.#calls;
    const user = this.#users.length > 0 ? this.random.pick(this.#users) : undefined;
    const task = this.#tasks.length > 0 ? this.random.pick(this.#tasks) : undefined;
    if (draw < 0.3) await this.#addTask(number);
    else if (draw < 0.5) await this.#addUser(number);
    else if (draw < 0.7 && user && !user.states.has(gone)) {
      await this.#change(user, `name ${number}`, "PUT", `/users/${user.id}`, { fullname: `name ${number}` });
    } else if (draw < 0.78 && user && !user.states.has(gone)) {
      await this.#change(user, gone, "DELETE", `/users/${user.id}`);
    } else if (draw < 0.88 && task) await this.#change(task, "deleted", "DELETE", `/tasks/${task.id}`);
    else if (task) await this.#call("POST", `/tasks/${task.id}/cancel`);
  }

  async #addUser(number: number): Promise<void> {
    const user = {
      email: `client${number}@example.com`,
      password: "long-enough",
      fullname: `name ${number}`,
    };
    const made = await this.#call("POST", "/users/", user);
    if (made) this.#users.push({ id: made.id, states: new Set([user.fullname]) });
  }

  async #addTask(number: number): Promise<void> {
    const subtasks = this.random.between(1, 6);
    const values = Array.from(
      { length: subtasks },
      (_, i) => ({ id: String(i), value: `scene ${i}`, weight: 1 }),
    );
    const made = await this.#call("POST", "/tasks", {
      task_name: `task ${number}`,
      username: "",
      tags: [{ id: "1", type: "prompt", isVariable: true, name: "scene" }],
      variables: { v0: { tag_id: "1", name: "scene", values } },
      settings: {},
    });
    if (made) this.#tasks.push({ id: made.id, subtasks, states: new Set(["there"]) });
  }

  /** Waits until the executor has nothing under way and has stored all counters. */
  async drain(): Promise<void> {
    await this.old.executor.drain();
  }

  /** Returns which acknowledged calls MongoDB does not show. */
  async check(): Promise<string[]> {
    const faults: string[] = [];
    const fault = (what: string, { id, states }: Known, found: string) => {
      if (!states.has(found)) {
        faults.push(`${what} ${id} of a client: wanted ${[...states].join(" or ")}, found ${found}`);
      }
    };
    const users = await this.db.collection("users").find({ email: /^client\d+@/ }).toArray();
    const names = new Map(users.map(({ _id, fullname }) => [String(_id), String(fullname)]));
    for (const user of this.#users) fault("user", user, names.get(user.id) ?? gone);
    for (const task of this.#tasks) {
      const found = await this.db.collection("tasks").findOne({ id: task.id });
      fault("task", task, !found ? gone : found.is_deleted ? "deleted" : "there");
      const subtasks = await this.db.collection("dramatiq_tasks").countDocuments({ parent_task_id: task.id });
      if (subtasks !== task.subtasks) {
        faults.push(`task ${task.id} of a client has ${subtasks} of ${task.subtasks} cells`);
      }
    }
    return faults;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.old[Symbol.asyncDispose]();
  }
}
