/** The open run: its detail and cells, kept up to date by its event stream. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { readEvents, type ServerEvent } from "../../api/events.ts";
import { isOnline } from "../../api/network.ts";
import { type ApiError, asApiError, isAbort } from "../../api/problem.ts";
import { type Resource, useResource } from "../../api/use_resource.ts";
import { Cells } from "../../matrix/cells.ts";

export type Run = Schemas["TaskDetail"];

/** Time between two readings of what only the detail tells: ETA and causes of failures. */
const detailMs = 5_000;
/** Time between two readings of which cells are being drawn, which no event tells. */
const claimsMs = 4_000;

export interface RunState {
  run: Resource<Run>;
  cells: Cells;
  /** Whether the cells are there. */
  isReady: boolean;
  /** Why the cells could not be read. */
  failure: ApiError | undefined;
  /** The run was deleted, or is not for this person. */
  isGone: boolean;
  isConnected: boolean;
  reload: () => void;
}

/** Calls `work` at most once in `ms`, the last time after the last call. */
function createThrottle(ms: number, work: () => void) {
  let timer: number | undefined;
  return {
    call: () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        work();
      }, ms);
    },
    stop: () => clearTimeout(timer),
  };
}

/** Data of the event `progress`. */
interface Progress extends Pick<Run, "status" | "hold"> {
  total: number;
  pending: number;
  running: number;
  completed: number;
  failed: number;
  cancelled: number;
}

/** Copies the counts of a progress event into the run. Rate and ETA stay as the detail gave them. */
function withProgress(
  run: Run,
  { status, hold, total, pending, running, completed, failed, cancelled }: Progress,
): Run {
  const cells = {
    total,
    open: pending + running,
    pending,
    processing: running,
    completed,
    failed,
    cancelled,
  };
  return { ...run, status, hold: hold ?? null, cells };
}

/** Follows the stream, once the cells are there. */
class Follower {
  readonly #aborter = new AbortController();
  readonly #claims = createThrottle(claimsMs, () => void this.#readCells());
  readonly #detail: ReturnType<typeof createThrottle>;

  constructor(
    readonly cells: Cells,
    readonly run: () => Resource<Run>,
    readonly put: (change: Partial<Pick<RunState, "isReady" | "failure" | "isGone" | "isConnected">>) => void,
  ) {
    this.#detail = createThrottle(detailMs, () => this.run().reload());
  }

  async follow(): Promise<void> {
    const { signal } = this.#aborter;
    try {
      await this.cells.read(signal);
      this.put({ isReady: true, failure: undefined });
      await readEvents(
        `/api/v2/tasks/${encodeURIComponent(this.cells.taskId)}/events?since=${this.cells.revision}`,
        {
          signal,
          onEvent: (event) => this.#take(event),
          onConnection: (isConnected) => this.put({ isConnected }),
        },
      );
    } catch (error) {
      if (signal.aborted || isAbort(error)) return;
      const failure = asApiError(error);
      if (failure.status === 404 || failure.status === 403) this.put({ isGone: true });
      else this.put({ failure });
    }
  }

  async #readCells(): Promise<void> {
    try {
      await this.cells.read(this.#aborter.signal);
    } catch {
      // The stream tells of lost connections; the next reading tries again.
    }
  }

  #take({ event, data, id }: ServerEvent): void {
    switch (event) {
      case "progress":
        this.run().set((run) => withProgress(run, data));
        if (data.running > 0) this.#claims.call();
        if (data.pending + data.running > 0) this.#detail.call();
        return;
      case "cells":
        this.cells.apply(data.cells, id === undefined ? undefined : Number(id));
        if (this.cells.hasPlane("spread")) this.#claims.call();
        return this.#detail.call();
      case "end":
        return this.run().reload();
      case "resync":
        this.cells.revision = 0;
        return void this.#readCells();
      case "bye":
        if (data.reason === "deleted" || data.reason === "revoked") this.put({ isGone: true });
    }
  }

  stop(): void {
    this.#aborter.abort();
    this.#claims.stop();
    this.#detail.stop();
  }
}

export function useRun(id: string): RunState {
  const run = useResource(
    (signal) => unwrap(v2.GET("/api/v2/tasks/{id}", { params: { path: { id } }, signal })),
    [id],
  );
  const latest = useRef(run);
  latest.current = run;
  const cells = useMemo(() => new Cells(id), [id]);
  const [count, setCount] = useState(0);
  const [state, setState] = useState<Pick<RunState, "isReady" | "failure" | "isGone" | "isConnected">>({
    isReady: false,
    failure: undefined,
    isGone: false,
    isConnected: true,
  });
  useEffect(() => {
    const follower = new Follower(
      cells,
      () => latest.current,
      (change) => setState((before) => ({ ...before, ...change })),
    );
    void follower.follow();
    return () => follower.stop();
  }, [cells, count]);
  const reload = () => {
    setState((before) => ({ ...before, failure: undefined }));
    setCount((before) => before + 1);
    run.reload();
  };
  const online = isOnline.value;
  useEffect(() => {
    if (online && state.failure) reload();
  }, [online]);
  const isGone = state.isGone || run.error?.status === 404;
  return { run, cells, ...state, isGone, reload };
}

/** Calls `reload` after changes of the cells, new images and new ratings, at most once in `ms`. */
export function useCellUpdates({ cells, isReady }: RunState, ms: number, reload: () => void): void {
  const latest = useRef(reload);
  latest.current = reload;
  useEffect(() => {
    if (!isReady) return;
    const throttle = createThrottle(ms, () => latest.current());
    const stop = cells.subscribe(throttle.call);
    return () => {
      stop();
      throttle.stop();
    };
  }, [cells, isReady, ms]);
}
