/** Data that is loaded again every few seconds while the page is visible. */
import { useEffect, useRef } from "preact/hooks";
import type { ApiError } from "./problem.ts";
import { type Resource, useResource } from "./use_resource.ts";

/**
 * Loads data, and loads it again every `seconds` while the page is visible. A failure stays until a load succeeds.
 *
 * @param keys as for `useResource`
 */
export function usePolled<T>(
  load: (signal: AbortSignal) => Promise<T>,
  keys: readonly (string | number | boolean | undefined)[],
  seconds: number,
): Resource<T> {
  const resource = useResource(load, keys);
  const latest = useRef(resource);
  latest.current = resource;
  const lastError = useRef<ApiError | undefined>(undefined);
  if (!resource.isLoading) lastError.current = resource.error;
  useEffect(() => {
    const read = () => {
      if (document.visibilityState === "visible" && !latest.current.isLoading) latest.current.reload();
    };
    const timer = setInterval(read, seconds * 1000);
    document.addEventListener("visibilitychange", read);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", read);
    };
  }, [seconds]);
  return { ...resource, error: lastError.current };
}
