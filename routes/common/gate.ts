/** How many requests are with the database at once: further ones wait a moment, then are put off. */
import { AppError } from "../../errors.ts";

export interface Gate {
  /**
   * Runs `work` when there is room.
   *
   * @param request its client may go while it waits, and leaves the line then
   * @throws AppError busy when there was none in time; nothing was done then
   */
  run<T>(request: Request, work: () => Promise<T> | T): Promise<T>;
}

export interface GateOptions {
  /** Requests with the database at once, at first and at least. */
  least?: number;
  /** And at most, once each is quick: the more are on their way, the less the connections idle between two. */
  most?: number;
  /** Milliseconds that one waits for room. */
  waitMsMax?: number;
  /** Requests that wait at once; one more is put off without waiting. */
  waitingMax?: number;
}

/** Milliseconds: quicker requests widen the gate by one, slower ones halve it. */
const quickMs = 100;
/** Milliseconds without any request done: what is under way is slow, whatever was before. */
const stalledMs = 250;

/** Opens nothing: a gate only counts. Its width follows how quick requests are, up slowly and down at once. */
export function createGate(
  { least = 16, most = 64, waitMsMax = 1500, waitingMax = 1000 }: GateOptions = {},
): Gate {
  /** Each lets one in that waits. */
  const line = new Set<() => void>();
  let inside = 0;
  let width = least;
  let movedAt = 0;

  function hasRoom(): boolean {
    if (inside < least) return true;
    return inside < width && performance.now() - movedAt < stalledMs;
  }

  function wait({ signal }: Request): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = () => {
      clearTimeout(timer);
      line.delete(enter);
      signal.removeEventListener("abort", putOff);
    };
    const enter = () => {
      stop();
      resolve();
    };
    const putOff = () => {
      stop();
      reject(new AppError("busy", `waiting for the database: ${inside} requests are with it`));
    };
    const timer = setTimeout(putOff, waitMsMax);
    signal.addEventListener("abort", putOff);
    line.add(enter);
    return promise;
  }

  function leave(enteredAt: number): void {
    inside--;
    movedAt = performance.now();
    const quick = movedAt - enteredAt < quickMs;
    width = quick ? Math.min(most, width + 1) : Math.max(least, width >> 1);
    for (const enter of line) {
      if (!hasRoom()) return;
      inside++;
      enter();
    }
  }

  return {
    async run(request, work) {
      if (hasRoom()) inside++;
      else if (line.size < waitingMax) await wait(request);
      else throw new AppError("busy", `waiting for the database: ${waitingMax} requests wait already`);
      const enteredAt = performance.now();
      try {
        return await work();
      } finally {
        leave(enteredAt);
      }
    },
  };
}
