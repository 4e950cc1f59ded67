/** The streams that say «look here»: `high`, `standard`, `lumina`, one consumer group each. */
import type { Queue, Ref } from "../db/queue/subtasks.ts";
import type { BlockingDoor, RedisDoor } from "./connect.ts";

/** What was read: the entry to acknowledge, and the subtasks it points to. */
export interface Message {
  entry: string;
  refs: Ref[];
}

const group = "workers";
/** A fuse, far above any dispatch window. */
const entriesMax = 100_000;

const isMissingGroup = (error: unknown) => error instanceof Error && error.message.includes("NOGROUP");
const isUnknownCommand = (error: unknown) =>
  error instanceof Error && /unknown command|unsupported/i.test(error.message);

/** Entries come as `[id, [field, value, …]]`; one whose content is gone has null instead. */
type RawEntry = [string, string[] | null];

function readRefs(fields: string[] | null): Ref[] {
  const text = fields?.[fields.indexOf("refs") + 1] ?? "";
  return text.split(" ").flatMap((pair) => {
    const [task_id, id] = pair.split("/");
    return task_id && id ? [{ task_id, id }] : [];
  });
}

const readEntries = (raw: RawEntry[]): Message[] =>
  raw.map(([entry, fields]) => ({ entry, refs: readRefs(fields) }));

/** One queue's stream, its group and the marks that tell of a wiped Redis. Keys: `{prefix}:stream:QUEUE`. */
export class Streams {
  readonly #door: RedisDoor;
  readonly #prefix: string;
  #hasAckDel = true;

  constructor(door: RedisDoor, prefix = "contactsheet") {
    this.#door = door;
    this.#prefix = `{${prefix}}`;
  }

  get kind(): RedisDoor["kind"] {
    return this.#door.kind;
  }

  key(queue: Queue): string {
    return `${this.#prefix}:stream:${queue}`;
  }

  get #epochKey(): string {
    return `${this.#prefix}:epoch`;
  }

  /**
   * Length of each stream (what is neither claimed nor dropped), and whether Redis still is the one we filled.
   *
   * @returns `epoch` false where everything was wiped since `markEpoch`
   */
  async look(queues: readonly Queue[]): Promise<{ epoch: boolean; lengths: Map<Queue, number> }> {
    const pipeline = this.#door.redis.pipeline();
    pipeline.exists(this.#epochKey);
    for (const queue of queues) pipeline.xlen(this.key(queue));
    const [epoch, ...lengths] = await pipeline.exec<number[]>();
    return {
      epoch: Number(epoch) > 0,
      lengths: new Map(queues.map((queue, i) => [queue, Number(lengths[i])])),
    };
  }

  /** Creates what is missing of streams and groups, from the first entry on, and leaves the mark. */
  async markEpoch(queues: readonly Queue[], mark: string): Promise<void> {
    for (const queue of queues) await this.ensureGroup(queue);
    await this.#door.redis.set(this.#epochKey, mark);
  }

  async ensureGroup(queue: Queue): Promise<void> {
    const options = { MKSTREAM: true };
    await this.#door.redis.xgroup(this.key(queue), { type: "CREATE", group, id: "0", options })
      .catch((error: Error) => {
        if (!error.message.includes("BUSYGROUP")) throw error;
      });
  }

  /** Adds one entry for every `refsPerEntry` subtasks. */
  async add(queue: Queue, refs: Ref[], refsPerEntry = 1): Promise<void> {
    if (refs.length === 0) return;
    const pipeline = this.#door.redis.pipeline();
    for (let i = 0; i < refs.length; i += refsPerEntry) {
      const text = refs.slice(i, i + refsPerEntry).map(({ task_id, id }) => `${task_id}/${id}`).join(" ");
      pipeline.xadd(this.key(queue), "*", { refs: text }, {
        trim: { type: "MAXLEN", comparison: "~", threshold: entriesMax },
      });
    }
    await pipeline.exec();
  }

  openBlocking(blockMs: number): BlockingDoor | undefined {
    return this.#door.openBlocking?.(blockMs);
  }

  /**
   * Reads up to `count` entries that no consumer has; waits up to `blockMs` on a connection of its own.
   *
   * @returns entries, or `no_group` after a wipe: the group is there again, the feed must fill it
   */
  async read(
    queue: Queue,
    { consumer, count, wait }: {
      consumer: string;
      count: number;
      wait?: { door: BlockingDoor; blockMs: number };
    },
  ): Promise<Message[] | "no_group"> {
    // The package's type for `options` wants blockMS or NOACK, never count alone.
    const options = { count, ...(wait ? { blockMS: wait.blockMs } : {}) } as {
      count: number;
      blockMS: number;
    };
    const redis = wait?.door.redis ?? this.#door.redis;
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

  /** Acknowledges and removes: in one command where Redis has it, else in one transaction. */
  async drop(queue: Queue, entries: string[]): Promise<void> {
    if (entries.length === 0) return;
    const key = this.key(queue);
    if (this.#hasAckDel) {
      try {
        await this.#door.redis.xackdel(key, group, "DELREF", ...entries);
        return;
      } catch (error) {
        if (!isUnknownCommand(error)) throw error;
        this.#hasAckDel = false;
      }
    }
    await this.#door.redis.multi().xack(key, group, entries).xdel(key, entries).exec();
  }

  /**
   * Takes over what another consumer read and never claimed: it died in between.
   *
   * @param cursor `0-0` at first, then what the last call returned
   * @param idleMs since delivery; far above the time between read and claim
   */
  async takeOver(
    queue: Queue,
    { consumer, cursor, idleMs, count }: { consumer: string; cursor: string; idleMs: number; count: number },
  ): Promise<{ cursor: string; messages: Message[] }> {
    try {
      const [next, raw, gone] = await this.#door.redis.xautoclaim(
        this.key(queue),
        group,
        consumer,
        idleMs,
        cursor,
        { count },
      ) as unknown as [string, RawEntry[], string[]?];
      // Entries that were trimmed away while pending are out of the group's list with this answer.
      void gone;
      return { cursor: next, messages: readEntries(raw.filter((entry) => entry !== null)) };
    } catch (error) {
      if (!isMissingGroup(error)) throw error;
      return { cursor: "0-0", messages: [] };
    }
  }

  /** Removes consumers that were idle for `idleMs` and hold nothing. @returns how many */
  async sweepConsumers(queue: Queue, idleMs: number): Promise<number> {
    const raw = await this.#door.redis.xinfo(this.key(queue), { type: "CONSUMERS", group })
      .catch((error) => {
        if (isMissingGroup(error) || /no such key/i.test(String(error))) return [];
        throw error;
      }) as (string | number)[][];
    let swept = 0;
    for (const fields of raw) {
      const read = (name: string) => fields[fields.indexOf(name) + 1];
      if (Number(read("pending")) > 0 || Number(read("idle")) < idleMs) continue;
      await this.#door.redis.xgroup(this.key(queue), {
        type: "DELCONSUMER",
        group,
        consumer: String(read("name")),
      });
      swept++;
    }
    return swept;
  }
}
