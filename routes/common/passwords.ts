/** Passwords as passlib's bcrypt kept them, hashed by two workers with a queue that ends. */
import { AppError } from "../../errors.ts";

export type PasswordJob =
  | { id: number; kind: "hash"; password: string; cost: number }
  | { id: number; kind: "compare"; password: string; hash: string | undefined; cost: number };
export type PasswordAnswer = { id: number; hash?: string; same?: boolean };

export interface Passwords extends Disposable {
  /** A new `$2b$` hash of the first 72 bytes, as passlib made it. @throws AppError busy when too many wait */
  hash(password: string): Promise<string>;
  /**
   * Whether a stored hash is of this password. Takes its time with no hash and with a malformed one too, so that
   * nobody learns which users exist. @throws AppError busy when too many wait
   */
  matches(password: string, hash: string | undefined): Promise<"same" | "different" | "malformed">;
}

const workersMax = 2;
const known = /^\$2[aby]\$(0[4-9]|1[0-9])\$[./A-Za-z0-9]{53}$/;

interface Waiting {
  job: PasswordJob;
  settle: PromiseWithResolvers<PasswordAnswer>;
}

/**
 * Starts the workers at the first password, not before.
 *
 * @param cost of new hashes, and the time that a wrong password takes: 2^cost rounds
 * @param waitingMax passwords that may wait for a worker
 */
export function createPasswords({ cost = 12, waitingMax = 64 } = {}): Passwords {
  const idle: Worker[] = [];
  const all: Worker[] = [];
  const waiting: Waiting[] = [];
  const underWay = new Map<Worker, Waiting>();
  let lastId = 0;

  const next = (worker: Worker) => {
    const first = waiting.shift();
    if (!first) {
      idle.push(worker);
      return;
    }
    underWay.set(worker, first);
    worker.postMessage(first.job);
  };
  const drop = (worker: Worker, cause: unknown) => {
    worker.terminate();
    all.splice(all.indexOf(worker), 1);
    underWay.get(worker)?.settle.reject(cause);
    underWay.delete(worker);
    if (waiting.length > 0) next(start());
  };
  const start = (): Worker => {
    const worker = new Worker(new URL("./passwords_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<PasswordAnswer>) => {
      underWay.get(worker)?.settle.resolve(data);
      underWay.delete(worker);
      next(worker);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      drop(worker, new Error(`password worker: ${event.message}`));
    };
    all.push(worker);
    return worker;
  };
  type Job<T> = T extends unknown ? Omit<T, "id"> : never;
  const run = (job: Job<PasswordJob>): Promise<PasswordAnswer> => {
    if (waiting.length >= waitingMax) {
      throw new AppError("busy", `hashing a password: ${waitingMax} wait already; try again in a moment`);
    }
    const settle = Promise.withResolvers<PasswordAnswer>();
    waiting.push({ job: { ...job, id: ++lastId } as PasswordJob, settle });
    const worker = idle.pop() ?? (all.length < workersMax ? start() : undefined);
    if (worker) next(worker);
    return settle.promise;
  };

  return {
    async hash(password) {
      return (await run({ kind: "hash", password, cost })).hash!;
    },
    async matches(password, hash) {
      const sound = hash !== undefined && known.test(hash);
      const { same } = await run({ kind: "compare", password, hash: sound ? hash : undefined, cost });
      if (!sound) return hash === undefined ? "different" : "malformed";
      return same ? "same" : "different";
    },
    [Symbol.dispose]() {
      for (const worker of all) worker.terminate();
      for (const { settle } of [...waiting, ...underWay.values()]) {
        settle.reject(new AppError("busy", "hashing a password: the process is stopping"));
      }
    },
  };
}
