/** What happens in the runs now, by the event stream over all runs. */
import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Schemas } from "../../api/client.ts";
import { readEvents } from "../../api/events.ts";
import type { Counts } from "../../kit/status.tsx";

export type Run = Schemas["Task"];

/** The present state of one run. */
export interface Activity {
  id: string;
  revision: number;
  status: Run["status"];
  hold: Run["hold"];
  cells: {
    total: number;
    pending: number;
    processing: number;
    completed: number;
    failed: number;
    cancelled: number;
  };
  raters: { name: string | null; ratings: number }[];
  per_minute: number | null;
  eta: { seconds_low: number; seconds_high: number | null } | null;
}

interface RunsEvent {
  runs: Activity[];
  deleted: string[];
  all: boolean;
}

/** Latest activity by run. */
export const activities = signal<ReadonlyMap<string, Activity>>(new Map());
/** Whether the stream is connected. */
export const isLive = signal(false);

function takeEvent({ runs, all }: RunsEvent): void {
  const next = new Map(all ? [] : activities.value);
  for (const run of runs) next.set(run.id, run);
  activities.value = next;
}

/**
 * Follows the runs while the component is shown.
 *
 * @param onStructure called when runs came or went, which the list does not know
 */
export function useActivities(
  isKnown: (id: string) => boolean,
  onStructure: (deleted: string[]) => void,
): void {
  useEffect(() => {
    const controller = new AbortController();
    let isFirst = true;
    void readEvents("/api/v2/tasks/events", {
      signal: controller.signal,
      onConnection: (isConnected) => (isLive.value = isConnected),
      onEvent({ event, data }) {
        if (event !== "runs") return;
        takeEvent(data);
        const hasNew = !data.all && data.runs.some(({ id }: Activity) => !isKnown(id));
        // After an interruption the list may have missed runs.
        if (hasNew || data.deleted.length > 0 || data.all && !isFirst) onStructure(data.deleted);
        isFirst = false;
      },
    }).catch(() => (isLive.value = false));
    return () => controller.abort();
  }, []);
}

/** Returns the activity of a run: the latest, or what the list says. */
export function activityOf(run: Run): Activity {
  const known = activities.value.get(run.id);
  if (known && known.revision >= run.revision) return known;
  const { open, ...cells } = run.cells;
  const { id, revision, status, hold } = run;
  return {
    id,
    revision,
    status,
    hold,
    cells: { ...cells, pending: open, processing: 0 },
    raters: known?.raters ?? [],
    per_minute: null,
    eta: null,
  };
}

export const isOpen = ({ status }: Pick<Activity, "status">): boolean =>
  status === "pending" || status === "processing";

/** Returns the counts for the bar: waiting cells of a held run are held. */
export function barCounts({ cells, hold }: Activity): Counts {
  const { total: _, pending, ...rest } = cells;
  return hold === null ? { ...rest, pending } : { ...rest, held: pending };
}
