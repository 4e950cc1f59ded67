/** Joins abort signals for a limited time. */

export interface JoinedSignal extends Disposable {
  signal: AbortSignal;
}

/**
 * Returns a signal that aborts with the first of `sources`. Disposing of it removes its listeners from the
 * sources; `AbortSignal.any` would keep them as long as the sources live.
 */
export function joinSignals(sources: AbortSignal[]): JoinedSignal {
  const joined = new AbortController();
  const stop = (event: Event) => joined.abort((event.target as AbortSignal).reason);
  const ended = sources.find(({ aborted }) => aborted);
  if (ended) joined.abort(ended.reason);
  for (const source of sources) source.addEventListener("abort", stop, { once: true });
  return {
    signal: joined.signal,
    [Symbol.dispose]() {
      for (const source of sources) source.removeEventListener("abort", stop);
    },
  };
}
