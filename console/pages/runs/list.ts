/** The list of runs: pages from the server, filtered by what the address says. */
import { useEffect, useRef, useState } from "preact/hooks";
import { unwrap, v2 } from "../../api/client.ts";
import { type ApiError, asApiError, isAbort } from "../../api/problem.ts";
import { useResource } from "../../api/use_resource.ts";
import { query } from "../../kit/router.tsx";
import type { Run } from "./activity.ts";

export const stateFilters = ["all", "open", "completed", "failed", "cancelled"] as const;
export type StateFilter = (typeof stateFilters)[number];

/** What the list shows. */
export interface Filter {
  name: string;
  state: StateFilter;
  isMine: boolean;
}

/** Reads the filter from the address. */
export function readFilter(): Filter {
  const state = query.value.get("state");
  return {
    name: query.value.get("q") ?? "",
    state: stateFilters.find((one) => one === state) ?? "all",
    isMine: query.value.get("mine") === "1",
  };
}

const pageSize = 30;

/** Reads one page. @param cursor of the page before; undefined for the first */
async function readPage({ name, state, isMine }: Filter, cursor: string | undefined, signal?: AbortSignal) {
  const status = state === "open" ? "pending,processing" : state === "all" ? undefined : state;
  const params = {
    query: {
      limit: pageSize,
      mine: isMine ? "true" as const : "false" as const,
      ...(name === "" ? {} : { name }),
      ...(status === undefined ? {} : { status }),
      ...(cursor === undefined ? {} : { cursor }),
    },
  };
  return await unwrap(v2.GET("/api/v2/tasks", { params, ...(signal ? { signal } : {}) }));
}

export interface RunList {
  runs: readonly Run[] | undefined;
  error: ApiError | undefined;
  isLoading: boolean;
  hasMore: boolean;
  reload: () => void;
  loadMore: () => Promise<void>;
}

/** Loads the first page, and further ones on request. A reload keeps the number of loaded pages. */
export function useRunList(filter: Filter): RunList {
  const { name, state, isMine } = filter;
  const pages = useRef(1);
  const key = JSON.stringify(filter);
  useEffect(() => {
    pages.current = 1;
  }, [key]);
  const first = useResource(async (signal) => {
    const runs: Run[] = [];
    let cursor: string | undefined;
    for (let page = 0; page < pages.current; page++) {
      const { items, next } = await readPage(filter, cursor, signal);
      runs.push(...items);
      cursor = next ?? undefined;
      if (cursor === undefined) break;
    }
    return { runs, cursor };
  }, [name, state, isMine]);
  const [failure, setFailure] = useState<ApiError>();
  const loadMore = async () => {
    const { data } = first;
    if (!data?.cursor) return;
    try {
      const { items, next } = await readPage(filter, data.cursor);
      pages.current++;
      const known = new Set(data.runs.map(({ id }) => id));
      const more = items.filter(({ id }) => !known.has(id));
      first.set((before) => ({ runs: [...before.runs, ...more], cursor: next ?? undefined }));
      setFailure(undefined);
    } catch (error) {
      if (!isAbort(error)) setFailure(asApiError(error));
    }
  };
  return {
    runs: first.data?.runs,
    error: first.error ?? failure,
    isLoading: first.isLoading,
    hasMore: first.data?.cursor !== undefined,
    reload: first.reload,
    loadMore,
  };
}
