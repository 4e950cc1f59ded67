/** Data of a component: loaded when it is shown, kept while it is loaded again. */
import { useSignalEffect } from "@preact/signals";
import { useEffect, useRef, useState } from "preact/hooks";
import { isOnline } from "./network.ts";
import { type ApiError, asApiError, isAbort } from "./problem.ts";

export interface Resource<T> {
  /** The latest data; kept while it is loaded again and if that fails. */
  data: T | undefined;
  /** Why the last load failed. */
  error: ApiError | undefined;
  isLoading: boolean;
  /** Loads again. */
  reload: () => void;
  /** Replaces the data, such as after a change whose answer is known. */
  set: (change: (data: T) => T) => void;
}

/**
 * Loads data, and loads it again when `keys` change and when the connection comes back.
 *
 * @param load gets a signal that is aborted when the data is no longer needed
 * @param keys primitive values
 */
export function useResource<T>(
  load: (signal: AbortSignal) => Promise<T>,
  keys: readonly (string | number | boolean | undefined)[],
): Resource<T> {
  const [state, setState] = useState<Pick<Resource<T>, "data" | "error" | "isLoading">>({
    data: undefined,
    error: undefined,
    isLoading: true,
  });
  const [count, setCount] = useState(0);
  const key = JSON.stringify(keys);
  const loadedKey = useRef(key);
  useEffect(() => {
    const controller = new AbortController();
    const isSame = loadedKey.current === key;
    loadedKey.current = key;
    setState((before) => ({ data: isSame ? before.data : undefined, error: undefined, isLoading: true }));
    load(controller.signal).then(
      (data) => {
        if (!controller.signal.aborted) setState({ data, error: undefined, isLoading: false });
      },
      (error) => {
        if (controller.signal.aborted || isAbort(error)) return;
        setState(({ data }) => ({ data, error: asApiError(error), isLoading: false }));
      },
    );
    return () => controller.abort();
  }, [key, count]);
  const reload = () => setCount((before) => before + 1);
  const wasOnline = useRef(isOnline.peek());
  useSignalEffect(() => {
    if (isOnline.value && !wasOnline.current) reload();
    wasOnline.current = isOnline.value;
  });
  const set = (change: (data: T) => T) =>
    setState((before) => before.data === undefined ? before : { ...before, data: change(before.data) });
  return { ...state, reload, set };
}
