/**
 * A streaming replica for reads. Each read waits until the replica has everything that was committed before the read
 * began, so that every user sees their own writes, whichever process has written them.
 *
 * A replica is `used` or `left out`. It is left out when a read would wait longer than `lagMsMax`, and used again when it
 * follows that closely.
 */
import { AppError } from "../../errors.ts";
import { wait } from "../../wait.ts";
import { connectError, type Pool, type Sql } from "./connect.ts";

/** Interval at which a replica that is left out, or not asked, is looked at. */
const lookMs = 500;
/** Interval at which a waiting read looks at the position of the replica. */
const positionMs = 3;
/** Maximum time for a look at a replica that does not answer. */
const answerMsMax = 1_000;

/**
 * The position up to which every answered commit is certainly written. With `synchronous_commit` off, a commit is
 * answered before it is flushed.
 */
async function readPrimaryPosition(sql: Sql): Promise<number> {
  const [row] = await sql<{ position: number }[]>`
    select (
      case current_setting('synchronous_commit')
        when 'off' then pg_current_wal_insert_lsn()
        else pg_current_wal_flush_lsn()
      end - '0/0'
    )::float8 as position`;
  return row!.position;
}

interface ReplicaState {
  is_standby: boolean;
  position: number;
}

async function readReplicaState(sql: Sql): Promise<ReplicaState> {
  const [row] = await sql<ReplicaState[]>`
    select pg_is_in_recovery() as is_standby, (pg_last_wal_replay_lsn() - '0/0')::float8 as position`;
  return row!;
}

/** Runs one query at a time. Its answer is shared by all who asked before it began. */
class SharedQuery<T> {
  #next: Promise<T> | undefined;
  #running: Promise<unknown> = Promise.resolve();

  constructor(readonly query: () => Promise<T>) {}

  read(): Promise<T> {
    this.#next ??= this.#start();
    return this.#next;
  }

  async #start(): Promise<T> {
    await this.#running;
    this.#next = undefined;
    const answer = this.query();
    this.#running = answer.catch(() => {});
    return await answer;
  }
}

/** Waits for `work` at most `ms`. @throws Error after `ms` */
async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

export interface ReplicaOptions {
  primary: Pool;
  replica: Pool;
  /** Maximum wait of a read for the replica, in milliseconds. */
  lagMsMax: number;
  /** Called when the replica is left out, with the reason, and with undefined when it is used again. */
  onChange: (reason: string | undefined) => void;
  /** Called with the time that the latest look or read waited, in milliseconds. */
  onLag?: (ms: number) => void;
}

export class Replica implements AsyncDisposable {
  readonly #options: ReplicaOptions;
  readonly #primaryPosition: SharedQuery<number>;
  readonly #state: SharedQuery<ReplicaState>;
  readonly #stopped = new AbortController();
  #reason: string | undefined = "it was not looked at yet";
  #looking: Promise<void> = Promise.resolve();

  constructor(options: ReplicaOptions) {
    this.#options = options;
    this.#primaryPosition = new SharedQuery(() => readPrimaryPosition(options.primary));
    this.#state = new SharedQuery(() => readReplicaState(options.replica));
  }

  /** Why the replica is left out; undefined while it is used. */
  get reason(): string | undefined {
    return this.#reason;
  }

  /** Begins to look at the replica. */
  async start(): Promise<void> {
    await this.#look();
    this.#looking = this.#run();
  }

  /**
   * Returns the pool for a read that begins now: the replica, once it has every commit that was answered before.
   *
   * @returns undefined where the primary must answer
   */
  async choose(): Promise<Pool | undefined> {
    if (this.#reason !== undefined) return undefined;
    return await this.#follow() ? this.#options.replica : undefined;
  }

  /** Leaves the replica out until a look finds it useful again, because a read has failed there. */
  leaveOut(reason: string): void {
    this.#set(reason);
  }

  /** Waits until the replica has what the primary has now. @returns whether it has, within the limit */
  async #follow(): Promise<boolean> {
    const { lagMsMax, onLag } = this.#options;
    const begun = performance.now();
    let position: number;
    try {
      position = await this.#primaryPosition.read();
    } catch {
      // The primary answers the read, or says why it does not.
      return false;
    }
    const from = performance.now();
    try {
      for (;;) {
        const state = await within(
          Math.max(lagMsMax, answerMsMax) - (performance.now() - from),
          this.#state.read(),
        );
        if (!state.is_standby) throw new Error("it is no standby any more");
        if (state.position >= position) break;
        if (performance.now() - from > lagMsMax) throw new Error(`it lags more than ${lagMsMax} ms behind`);
        await wait(positionMs);
      }
    } catch (error) {
      this.#set((error as Error).message);
      return false;
    }
    onLag?.(performance.now() - begun);
    return true;
  }

  #set(reason: string | undefined): void {
    const isChange = (reason === undefined) !== (this.#reason === undefined);
    this.#reason = reason;
    if (isChange) this.#options.onChange(reason);
  }

  async #look(): Promise<void> {
    if (await this.#follow()) this.#set(undefined);
  }

  async #run(): Promise<void> {
    while (!this.#stopped.signal.aborted) {
      await wait(lookMs, this.#stopped.signal);
      if (!this.#stopped.signal.aborted) await this.#look();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await Promise.race([this.#looking, wait(answerMsMax)]);
    await this.#options.replica.end({ timeout: 1 });
  }
}

interface Identity {
  system: string;
  database: string;
  is_standby: boolean;
}

async function readIdentity(sql: Sql): Promise<Identity> {
  const [row] = await sql<Identity[]>`
    select system_identifier::text as system, pg_is_in_recovery() as is_standby,
      (select oid::text || ' ' || datname from pg_database where datname = current_database()) as database
    from pg_control_system()`;
  return row!;
}

/**
 * Requires that a server is a standby of the primary, with the same database.
 *
 * @param url the replica's URL
 * @throws AppError database_unsuitable that says what to do; database_unreachable, database_refused
 */
export async function requireReplica(primary: Pool, replica: Pool, url: string): Promise<void> {
  const unsuitable = (what: string) =>
    new AppError("database_unsuitable", `checking DATABASE_READ_URL: ${what}; or leave it empty`);
  try {
    const [wanted, found] = [await readIdentity(primary), await readIdentity(replica)];
    if (found.system !== wanted.system) {
      throw unsuitable(
        "the server belongs to another cluster than DATABASE_URL; name a standby of that server",
      );
    }
    if (!found.is_standby) {
      throw unsuitable("the server is no standby, but a primary; name a streaming replica of DATABASE_URL");
    }
    if (found.database !== wanted.database) {
      throw unsuitable("its database is another one than in DATABASE_URL; name the same database");
    }
  } catch (error) {
    throw connectError(error, url, "DATABASE_READ_URL");
  }
}
