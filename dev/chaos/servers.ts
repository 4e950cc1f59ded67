/** What the servers of a rig share: bounded repetition, and work that must not overlap. */

/** Resolves after `ms` milliseconds. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Options for connections to a server that may be stopped: a lost connection must not end the rig. */
export const tolerantOptions = { silentMsMax: 60_000 };

/** Returns a function that runs one piece of work after another, so that a server is not stopped while it fails over. */
export function createSequence(): <T>(work: () => Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const done = last.then(work);
    last = done.catch(() => {});
    return done;
  };
}

/** Repeats `work` until it succeeds, for at most `ms`, since the server may be down. @throws the last error */
export async function retry<T>(work: () => Promise<T>, ms = 30_000): Promise<T> {
  const until = performance.now() + ms;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (performance.now() > until) throw error;
      await pause(50);
    }
  }
}
