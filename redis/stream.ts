/** The streams of subtasks that workers should claim: one for each queue, each with one consumer group. */
import type { Queue, SubtaskRef } from "../db/queue/subtasks.ts";
import type { BlockingConnection, RedisConnection } from "./connect.ts";

/** An entry of a stream. */
export interface Message {
  /** Id of the entry. */
  entry: string;
  /** The subtasks that the entry names. */
  refs: SubtaskRef[];
}

/** Name of the consumer group of each stream. */
export const consumerGroup = "workers";
const group = consumerGroup;
/** Maximum length of a stream, as a safeguard: the feed's window is far shorter. */
const entriesMax = 100_000;

const isMissingGroup = (error: unknown) => error instanceof Error && error.message.includes("NOGROUP");
const isUnknownCommand = (error: unknown) =>
  error instanceof Error && /unknown command|unsupported/i.test(error.message);

/** An entry as Redis returns it: `[id, [field, value, …]]`, with null for the fields of a deleted entry. */
type RawEntry = [string, string[] | null];

/** Reads a field of a flat list `[name, value, name, value, …]`. A value may equal a name. */
export function readField<T>(fields: readonly T[], name: string): T | undefined {
  for (let i = 0; i + 1 < fields.length; i += 2) if (fields[i] === name) return fields[i + 1];
  return undefined;
}

const uuid = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}";
const refPattern = new RegExp(`^(${uuid})/(${uuid})$`, "i");

/**
 * Returns the subtasks that an entry names. An entry that was deleted, or that another program wrote, names
 * none: its reader drops it, and the feed writes the cells again.
 */
function readRefs(fields: string[] | null): SubtaskRef[] {
  return (readField(fields ?? [], "refs") ?? "").split(" ").flatMap((pair) => {
    const [, task_id, id] = refPattern.exec(pair) ?? [];
    return task_id !== undefined && id !== undefined ? [{ task_id, id }] : [];
  });
}

const readEntries = (raw: RawEntry[]): Message[] =>
  raw.map(([entry, fields]) => ({ entry, refs: readRefs(fields) }));

/**
 * The streams of all queues, and the epoch key by which a wiped Redis is detected.
 *
 * Keys: `{prefix}:stream:QUEUE` and `{prefix}:epoch`.
 */
export class Streams {
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  #hasAckDel = true;

  constructor(connection: RedisConnection, prefix = "contactsheet") {
    this.#connection = connection;
    this.#prefix = `{${prefix}}`;
  }

  get kind(): RedisConnection["kind"] {
    return this.#connection.kind;
  }

  key(queue: Queue): string {
    return `${this.#prefix}:stream:${queue}`;
  }

  get #epochKey(): string {
    return `${this.#prefix}:epoch`;
  }

  /**
   * Reads the length of each stream, and whether the epoch key exists.
   *
   * @returns `epoch` false when Redis was wiped since `markEpoch`
   */
  async readState(queues: readonly Queue[]): Promise<{ epoch: boolean; lengths: Map<Queue, number> }> {
    const pipeline = this.#connection.redis.pipeline();
    pipeline.exists(this.#epochKey);
    for (const queue of queues) pipeline.xlen(this.key(queue));
    const [epoch, ...lengths] = await pipeline.exec<number[]>();
    return {
      epoch: Number(epoch) > 0,
      lengths: new Map(queues.map((queue, i) => [queue, Number(lengths[i])])),
    };
  }

  /** Creates missing streams and groups, then sets the epoch key to `mark`. */
  async markEpoch(queues: readonly Queue[], mark: string): Promise<void> {
    for (const queue of queues) await this.ensureGroup(queue);
    await this.#connection.redis.set(this.#epochKey, mark);
  }

  /** Creates the stream and its group if they are missing. The group reads from the first entry. */
  async ensureGroup(queue: Queue): Promise<void> {
    const options = { MKSTREAM: true };
    await this.#connection.redis.xgroup(this.key(queue), { type: "CREATE", group, id: "0", options })
      .catch((error: Error) => {
        if (!error.message.includes("BUSYGROUP")) throw error;
      });
  }

  /** Adds entries of up to `refsPerEntry` subtasks each. */
  async add(queue: Queue, refs: SubtaskRef[], refsPerEntry = 1): Promise<void> {
    if (refs.length === 0) return;
    const pipeline = this.#connection.redis.pipeline();
    for (let i = 0; i < refs.length; i += refsPerEntry) {
      const text = refs.slice(i, i + refsPerEntry).map(({ task_id, id }) => `${task_id}/${id}`).join(" ");
      pipeline.xadd(this.key(queue), "*", { refs: text }, {
        trim: { type: "MAXLEN", comparison: "~", threshold: entriesMax },
      });
    }
    await pipeline.exec();
  }

  /**
   * Asks whether entries can be added, without adding one: the stream of the probe does not exist and is not
   * created.
   *
   * @throws the refusal of Redis, or the failure of the connection
   */
  async probe(): Promise<void> {
    const key = `${this.#prefix}:probe`;
    await this.#connection.redis.xadd(key, "*", { refs: "" }, { nomkStream: true });
  }

  openBlocking(blockMs: number): BlockingConnection | undefined {
    return this.#connection.openBlocking?.(blockMs);
  }

  /**
   * Reads up to `count` entries that no consumer has read. With `wait`, blocks up to `blockMs` on its
   * connection.
   *
   * @returns the entries, or `no_group` when the group was missing; it is created again, and the feed must
   *   refill it
   */
  async read(
    queue: Queue,
    { consumer, count, wait }: {
      consumer: string;
      count: number;
      wait?: { connection: BlockingConnection; blockMs: number };
    },
  ): Promise<Message[] | "no_group"> {
    // The type of `options` in the package does not allow `count` alone.
    const options = { count, ...(wait ? { blockMS: wait.blockMs } : {}) } as {
      count: number;
      blockMS: number;
    };
    const redis = wait?.connection.redis ?? this.#connection.redis;
    try {
      const raw = await redis.xreadgroup(group, consumer, this.key(queue), ">", options) as
        | [string, RawEntry[]][]
        | null;
      return readEntries(raw?.[0]?.[1] ?? []);
    } catch (error) {
      if (!isMissingGroup(error)) throw error;
      await this.ensureGroup(queue);
      return "no_group";
    }
  }

  /**
   * Acknowledges and deletes entries: with XACKDEL where Redis has it, else one after the other. A full Redis
   * permits both, but no transaction.
   */
  async drop(queue: Queue, entries: string[]): Promise<void> {
    if (entries.length === 0) return;
    const key = this.key(queue);
    if (this.#hasAckDel) {
      try {
        await this.#connection.redis.xackdel(key, group, "DELREF", ...entries);
        return;
      } catch (error) {
        if (!isUnknownCommand(error)) throw error;
        this.#hasAckDel = false;
      }
    }
    // An entry that was only deleted is forgotten by the next takeover; one that was only acknowledged would stay.
    await this.#connection.redis.pipeline().xdel(key, entries).xack(key, group, entries).exec();
  }

  /**
   * Takes over entries that another consumer read and did not acknowledge. Redis drops deleted entries by
   * itself.
   *
   * @param cursor `0-0` at first, then the cursor that the last call returned
   * @param idleMs minimum time since an entry was read
   */
  async takeOver(
    queue: Queue,
    { consumer, cursor, idleMs, count }: { consumer: string; cursor: string; idleMs: number; count: number },
  ): Promise<{ cursor: string; messages: Message[] }> {
    try {
      const [next, raw] = await this.#connection.redis.xautoclaim(
        this.key(queue),
        group,
        consumer,
        idleMs,
        cursor,
        { count },
      ) as unknown as [string, RawEntry[]];
      return { cursor: next, messages: readEntries(raw.filter((entry) => entry !== null)) };
    } catch (error) {
      if (!isMissingGroup(error)) throw error;
      return { cursor: "0-0", messages: [] };
    }
  }

  /**
   * Removes consumers that were idle for `idleMs` and have no pending entries.
   *
   * @returns the number of removed consumers
   */
  async sweepConsumers(queue: Queue, idleMs: number): Promise<number> {
    const raw = await this.#connection.redis.xinfo(this.key(queue), { type: "CONSUMERS", group })
      .catch((error) => {
        if (isMissingGroup(error) || /no such key/i.test(String(error))) return [];
        throw error;
      }) as (string | number)[][];
    let swept = 0;
    for (const fields of raw) {
      const read = (name: string) => readField(fields, name);
      if (Number(read("pending")) > 0 || Number(read("idle")) < idleMs) continue;
      await this.#connection.redis.xgroup(this.key(queue), {
        type: "DELCONSUMER",
        group,
        consumer: String(read("name")),
      });
      swept++;
    }
    return swept;
  }
}
