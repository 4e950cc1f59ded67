/**
 * Writes to the source as the old backend and its executor do, and keeps a log of every acknowledged write: the state
 * that each document must have in the end.
 */
import { type Db, type Document, ObjectId } from "mongodb";
import type { Random } from "../random.ts";
import {
  completed,
  makeSubtask,
  makeTask,
  makeUser,
} from "../../../tests/migrate/support/legacy_documents.ts";

type Collection = "users" | "tasks" | "dramatiq_tasks";

/** Marks a document of this writer. It tells the last acknowledged write, and those whose outcome is unknown. */
interface Known {
  collection: Collection;
  /** Numbers of the writes that may be the last one; 0 stands for a deletion. */
  versions: Set<number>;
}

/** Statuses through which the executor moves a subtask. */
const outcomes = ["processing", "completed", "failed", "cancelled"] as const;

export class LiveWriter {
  readonly #known = new Map<string, Known>();
  readonly #ids: Record<Collection, ObjectId[]> = { users: [], tasks: [], dramatiq_tasks: [] };
  readonly #taskIds: string[] = [];
  #version = 0;
  acknowledged = 0;

  constructor(readonly db: Db, readonly random: Random) {}

  /** Writes until the signal is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#step();
      await new Promise((resolve) => setTimeout(resolve, this.random.between(0, 8)));
    }
  }

  async #step(): Promise<void> {
    const draw = this.random.next();
    if (draw < 0.1) await this.#addTask();
    else if (draw < 0.15) await this.#addUser();
    else if (draw < 0.2) await this.#exchangeEmails();
    else if (draw < 0.24) await this.#poison();
    else if (draw < 0.28) await this.#addOrphans();
    else if (draw < 0.31) await this.#deleteTask();
    else if (draw < 0.33) await this.#addLarge();
    else if (draw < 0.38) await this.#deleteSubtask();
    else await this.#move();
  }

  /** Performs a write, and notes what it must have led to. An unknown outcome leaves both states possible. */
  async #write(
    collection: Collection,
    _id: ObjectId,
    change: (stamp: Document) => Promise<unknown>,
    isDeletion = false,
  ) {
    const version = isDeletion ? 0 : ++this.#version;
    const key = _id.toHexString();
    const known = this.#known.get(key) ?? { collection, versions: new Set([0]) };
    this.#known.set(key, known);
    known.versions.add(version);
    try {
      await change({ chaos_version: version });
      known.versions = new Set([version]);
      this.acknowledged++;
    } catch {
      // Not acknowledged: it may have happened or not, also later.
    }
  }

  async #insert(collection: Collection, document: Document): Promise<void> {
    const _id = document._id as ObjectId;
    await this.#write(
      collection,
      _id,
      (stamp) => this.db.collection(collection).insertOne(Object.assign(document, stamp)),
    );
    this.#ids[collection].push(_id);
  }

  async #update(collection: Collection, _id: ObjectId, set: Document): Promise<void> {
    await this.#write(collection, _id, async (stamp) => {
      const { matchedCount } = await this.db.collection(collection).updateOne({ _id }, {
        $set: Object.assign({ updated_at: new Date() }, set, stamp),
      });
      if (matchedCount === 0) throw new Error("the document is gone");
    });
  }

  async #delete(collection: Collection, _id: ObjectId): Promise<void> {
    await this.#write(collection, _id, () => this.db.collection(collection).deleteOne({ _id }), true);
  }

  async #addUser(): Promise<void> {
    await this.#insert("users", makeUser(`user${this.#version}-${this.random.between(0, 1e9)}@example.com`));
  }

  async #addTask(): Promise<void> {
    const task = makeTask(`user${this.random.between(0, 50)}@example.com`);
    this.#taskIds.push(task.id);
    const subtasks = Array.from({ length: this.random.between(1, 12) }, (_, i) => makeSubtask(task.id, i));
    // Sometimes the subtasks come first.
    if (!this.random.oneIn(4)) await this.#insert("tasks", task);
    for (const subtask of subtasks) await this.#insert("dramatiq_tasks", subtask);
    if (!this.#known.has(task._id.toHexString())) await this.#insert("tasks", task);
  }

  async #move(): Promise<void> {
    const _id = this.#pick("dramatiq_tasks");
    if (!_id) return;
    const status = this.random.pick(outcomes);
    const url = `https://img.example.com/${this.#version}.webp`;
    await this.#update(
      "dramatiq_tasks",
      _id,
      status === "completed" ? completed(url) : { status, error: `try ${this.#version}` },
    );
  }

  async #exchangeEmails(): Promise<void> {
    const [a, b] = [this.#pick("users"), this.#pick("users")];
    if (!a || !b || a.equals(b)) return;
    const users = this.db.collection("users");
    const [first, second] = await Promise.all([a, b].map((_id) => users.findOne({ _id }))).catch(() => []);
    if (!first || !second) return;
    await this.#update("users", a, { email: `between-${this.#version}@example.com` });
    await this.#update("users", b, { email: first.email });
    await this.#update("users", a, { email: second.email });
  }

  /** Makes a document that no rule takes, or mends one. */
  async #poison(): Promise<void> {
    const _id = this.#pick("dramatiq_tasks");
    if (_id) {
      await this.#update("dramatiq_tasks", _id, { status: this.random.oneIn(2) ? "poison" : "pending" });
    }
  }

  async #addOrphans(): Promise<void> {
    await this.#insert("dramatiq_tasks", makeSubtask(crypto.randomUUID()));
  }

  async #deleteTask(): Promise<void> {
    const _id = this.#pick("tasks");
    if (_id) await this.#delete("tasks", _id);
  }

  async #deleteSubtask(): Promise<void> {
    const _id = this.#pick("dramatiq_tasks");
    if (_id) await this.#delete("dramatiq_tasks", _id);
  }

  async #addLarge(): Promise<void> {
    const task = makeTask("large@example.com");
    await this.#insert(
      "tasks",
      Object.assign(task, { tags: [{ value: "x".repeat(this.random.between(1, 15) * 1_000_000) }] }),
    );
  }

  #pick(collection: Collection): ObjectId | undefined {
    const ids = this.#ids[collection];
    return ids.length === 0 ? undefined : this.random.pick(ids);
  }

  /** Returns what is wrong with the source itself: an acknowledged write that is not there. */
  async check(): Promise<string[]> {
    const faults: string[] = [];
    for (const [key, { collection, versions }] of this.#known) {
      const document = await this.db.collection(collection).findOne(
        { _id: new ObjectId(key) },
        { projection: { chaos_version: 1 } },
      );
      const found = Number(document?.chaos_version ?? 0);
      if (!versions.has(found)) {
        faults.push(`${collection} ${key}: wanted write ${[...versions].join(" or ")}, found ${found}`);
      }
    }
    return faults;
  }
}
