/** Sends statements to MongoDB in ordered commands of limited size, and sorts out what the server refuses. */
import { createHash } from "node:crypto";
import type { ClientSession } from "mongodb";
import { AppError } from "../../../errors.ts";
import type { Collection } from "../documents/source.ts";
import { type BsonValue, ObjectId } from "../documents/tree.ts";
import type { FollowedMongo } from "../sources/mongo_follow.ts";
import { failpoint } from "../tools/failpoint.ts";
import { CommandNumbers, runWrites, setStatement, type Statement } from "./raw_writes.ts";

/** A statement for one row. */
export interface RowWrite {
  /** Key of the row. */
  key: string;
  id: BsonValue;
  statement: Statement;
  /** Present for users. */
  email?: string | undefined;
}

/** A row whose document the server does not accept. */
export interface RefusedRow {
  collection: Collection;
  key: string;
  reason: string;
}

export interface Written {
  /** Documents that were inserted, changed or deleted. */
  changed: number;
  refused: RefusedRow[];
}

/** All processes that write back share this session, see CommandNumbers. */
const sessionId = createHash("sha256").update("contactsheet: the way back").digest().subarray(0, 16);

const duplicateKey = 11000;
const writesBlocked = 371;
const unauthorized = 13;
const numberTooOld = 225;

/** Codes of statements that can never succeed as they are: the row is refused, the others go on. */
const refusedCodes = new Set([
  2,
  9,
  14,
  16,
  17,
  52,
  54,
  56,
  57,
  59,
  66,
  121,
  10334,
  duplicateKey,
  17280,
  17419,
]);

type Check = () => Promise<void>;

/** Writes to the source in one shared session. */
export class Writer implements AsyncDisposable {
  readonly #session: ClientSession;
  #numbers: CommandNumbers | undefined;
  #isFirst = true;

  /** @param term of the lease */
  constructor(readonly source: FollowedMongo, readonly term: number) {
    this.#session = source.startSession();
    if (source.topology !== "standalone") {
      this.#numbers = new CommandNumbers(this.#session, sessionId, term);
    }
  }

  /**
   * Replaces or inserts documents, in their order.
   *
   * @param check is called before each command, and throws when this process lost its lease
   */
  async replace(collection: Collection, writes: readonly RowWrite[], check: Check): Promise<Written> {
    const written = await this.#run("update", collection, writes, check);
    if (collection !== "users" || written.refused.length === 0) return written;
    // Two users may have exchanged their e-mails. Each of them gets another one for a moment, then its own.
    const again = await this.#findExchanges(
      writes.filter(({ key }) => written.refused.some((refused) => refused.key === key)),
    );
    if (again.length === 0) return written;
    const released = again.map(({ key, id }, i): RowWrite => ({
      key,
      id,
      statement: setStatement(id, "email", `released:${key}:${i}`),
    }));
    await this.#run("update", collection, released, check);
    failpoint("back.emails_released");
    const second = await this.#run("update", collection, again, check);
    const others = written.refused.filter(({ key }) => again.every((write) => write.key !== key));
    return { changed: written.changed + second.changed, refused: [...others, ...second.refused] };
  }

  /** Returns the writes of users whose new e-mail nobody has but users among them. */
  async #findExchanges(writes: readonly RowWrite[]): Promise<RowWrite[]> {
    const emails = writes.map(({ email }) => email ?? "");
    const users = this.source.db.collection("users");
    const found = await users.find({ email: { $in: emails } }, { projection: { email: 1 } }).toArray();
    const holders = new Map(found.map(({ _id, email }) => [email as string, String(_id)]));
    let chosen = [...writes];
    for (let count = 0; count !== chosen.length;) {
      count = chosen.length;
      const ids = new Set(chosen.map(({ id }) => id instanceof ObjectId ? id.hex : String(id)));
      chosen = chosen.filter(({ email }) => {
        const holder = holders.get(email ?? "");
        return holder === undefined || ids.has(holder);
      });
    }
    return chosen;
  }

  /** Deletes documents. See replace() for `check`. */
  delete(collection: Collection, writes: readonly RowWrite[], check: Check): Promise<Written> {
    return this.#run("delete", collection, writes, check);
  }

  async #run(
    kind: "update" | "delete",
    collection: Collection,
    writes: readonly RowWrite[],
    check: Check,
  ): Promise<Written> {
    const refused: RefusedRow[] = [];
    let changed = 0;
    for (let at = 0; at < writes.length;) {
      await check();
      failpoint("back.before_command");
      const rest = writes.slice(at);
      const result = await this.#command(kind, collection, rest, check);
      failpoint("back.command_answered");
      changed += result.changed;
      if (!result.refused) break;
      const { index, code, message } = result.refused;
      this.#throwIfFatal(code, message);
      if (!refusedCodes.has(code)) {
        throw Object.assign(new Error(message), { name: "MongoServerError", code });
      }
      refused.push({ collection, key: rest[index]!.key, reason: message });
      at += index + 1;
    }
    return { changed, refused };
  }

  async #command(
    kind: "update" | "delete",
    collection: Collection,
    writes: readonly RowWrite[],
    check: Check,
  ) {
    const statements = writes.map(({ statement }) => statement);
    const { db } = this.source;
    try {
      const running = runWrites(db, kind, collection, statements, this.#numbers);
      failpoint("back.command_sent");
      const result = await running;
      this.#isFirst = false;
      return result;
    } catch (error) {
      const { code, message } = error as { code?: number; message: string };
      if (code === numberTooOld) {
        await check();
        return await this.#restartNumbers(kind, collection, statements);
      }
      this.#throwIfFatal(code, message);
      throw error;
    }
  }

  /**
   * Numbers from an earlier life of the target are higher: it was restored from a backup. The first command of a process
   * whose lease is valid begins a session of its own.
   */
  async #restartNumbers(kind: "update" | "delete", collection: Collection, statements: readonly Statement[]) {
    if (!this.#isFirst) {
      throw new AppError("busy", "back: another process writes back to this MongoDB; this one stops");
    }
    this.#isFirst = false;
    const own = crypto.getRandomValues(new Uint8Array(16));
    this.#numbers = new CommandNumbers(this.#session, own, this.term);
    return await runWrites(this.source.db, kind, collection, statements, this.#numbers);
  }

  /** @throws AppError forbidden, database_refused */
  #throwIfFatal(code: number | undefined, message: string): void {
    const { location } = this.source;
    if (code === writesBlocked) throw blockedError(location);
    if (code === unauthorized) throw unauthorizedError(location, message);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#session.endSession().catch(() => {});
  }
}

/** The error for a server that blocks writes of users. */
export const blockedError = (location: string) =>
  new AppError(
    "conflict",
    `writing back to '${location}': the server blocks writes; unblock it with ` +
      "db.adminCommand({ setUserWriteBlockMode: 1, global: false }), and run the same command again",
  );

/** The error for an account without permission to write. */
export const unauthorizedError = (location: string, message: string) =>
  new AppError(
    "database_refused",
    `writing back to '${location}': its account may not write there (${message}); wanted the role 'readWrite' on ` +
      "the database",
  );
