/** One signal of several, for a while: what it listens to keeps nothing of it afterwards. */

export interface JoinedSignal extends Disposable {
  signal: AbortSignal;
}

/** Aborts with the first of `sources`, until it is disposed of; `AbortSignal.any` would stay with them for good. */
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
