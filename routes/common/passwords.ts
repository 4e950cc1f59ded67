/** bcrypt hashes in passlib's format, computed by two Web Workers with a bounded queue. */
import { AppError } from "../../errors.ts";

export type PasswordJob =
  | { id: number; kind: "hash"; password: string; cost: number }
  | { id: number; kind: "compare"; password: string; hash: string | undefined; cost: number };
export type PasswordResult = { id: number; hash?: string; isSame?: boolean };

export interface Passwords extends Disposable {
  /**
   * Returns a new `$2b$` hash of the first 72 bytes, as passlib does.
   *
   * @throws AppError busy if too many passwords wait
   */
  hash(password: string): Promise<string>;
  /**
   * Compares a password with a stored hash. A missing or malformed hash takes the same time, so that the
   * duration does not reveal which users exist.
   *
   * @throws AppError busy if too many passwords wait
   */
  matches(password: string, hash: string | undefined): Promise<"same" | "different" | "malformed">;
}

const workersMax = 2;
/** A bcrypt hash with a cost from 4 to 19. */
const bcryptHash = /^\$2[aby]\$(0[4-9]|1[0-9])\$[./A-Za-z0-9]{53}$/;

interface QueuedJob {
  job: PasswordJob;
  result: PromiseWithResolvers<PasswordResult>;
}

/**
 * Creates the hashing service. The workers start with the first passwords.
 *
 * @param cost bcrypt cost of new hashes, and of the time that a wrong password takes: 2^cost rounds
 * @param waitingMax maximum number of passwords that wait for a worker
 */
export function createPasswords({ cost = 12, waitingMax = 64 } = {}): Passwords {
  const workers: Worker[] = [];
  const idle: Worker[] = [];
  const waiting: QueuedJob[] = [];
  const running = new Map<Worker, QueuedJob>();
  let lastId = 0;

  const assignNext = (worker: Worker) => {
    const first = waiting.shift();
    if (!first) {
      idle.push(worker);
      return;
    }
    running.set(worker, first);
    worker.postMessage(first.job);
  };
  const discard = (worker: Worker, cause: unknown) => {
    worker.terminate();
    workers.splice(workers.indexOf(worker), 1);
    running.get(worker)?.result.reject(cause);
    running.delete(worker);
    if (waiting.length > 0) assignNext(start());
  };
  const start = (): Worker => {
    const worker = new Worker(new URL("./passwords_worker.ts", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }: MessageEvent<PasswordResult>) => {
      running.get(worker)?.result.resolve(data);
      running.delete(worker);
      assignNext(worker);
    };
    worker.onerror = (event) => {
      event.preventDefault();
      discard(worker, new Error(`password worker: ${event.message}`));
    };
    workers.push(worker);
    return worker;
  };
  type WithoutId<T> = T extends unknown ? Omit<T, "id"> : never;
  const run = (job: WithoutId<PasswordJob>): Promise<PasswordResult> => {
    if (waiting.length >= waitingMax) {
      throw new AppError("busy", `hashing a password: ${waitingMax} wait already; try again in a moment`);
    }
    const result = Promise.withResolvers<PasswordResult>();
    waiting.push({ job: { ...job, id: ++lastId } as PasswordJob, result });
    const worker = idle.pop() ?? (workers.length < workersMax ? start() : undefined);
    if (worker) assignNext(worker);
    return result.promise;
  };

  return {
    async hash(password) {
      return (await run({ kind: "hash", password, cost })).hash!;
    },
    async matches(password, hash) {
      const isBcrypt = hash !== undefined && bcryptHash.test(hash);
      const { isSame } = await run({ kind: "compare", password, hash: isBcrypt ? hash : undefined, cost });
      if (!isBcrypt) return hash === undefined ? "different" : "malformed";
      return isSame ? "same" : "different";
    },
    [Symbol.dispose]() {
      for (const worker of workers) worker.terminate();
      for (const { result } of [...waiting, ...running.values()]) {
        result.reject(new AppError("busy", "hashing a password: the process is stopping"));
      }
    },
  };
}
