/** What a person may do to a run, with the messages that follow. */
import { unwrap, v2 } from "../../api/client.ts";
import { asApiError, toApiError } from "../../api/problem.ts";
import { authorizedFetch, hasRole, session } from "../../api/session.ts";
import { describeFailure } from "../../kit/states.tsx";
import { runUndoably, showToast } from "../../kit/toast.tsx";
import type { Run } from "./run_state.ts";
import { runTexts } from "./texts.ts";

/** Whether the person may change the run. */
export const mayChange = (run: Run): boolean => run.mine || hasRole("admin");

/** Whether the person has an account, and with it favourites. */
export const isMember = (): boolean => session.value.state === "signed_in";

/** Does something, and says how it ended. @param done what to say, undefined for nothing @returns whether it worked */
export async function attempt<T>(
  work: () => Promise<T>,
  done: (result: T) => string | undefined,
): Promise<boolean> {
  try {
    const text = done(await work());
    if (text !== undefined) showToast({ text });
    return true;
  } catch (error) {
    showToast({ text: describeFailure(asApiError(error)), kind: "failed" });
    return false;
  }
}

const pathOf = (id: string) => ({ params: { path: { id } } });

export const pauseRun = (id: string) =>
  attempt(() => unwrap(v2.POST("/api/v2/tasks/{id}/pause", pathOf(id))), () => runTexts.value.paused);

export const resumeRun = (id: string) =>
  attempt(() => unwrap(v2.POST("/api/v2/tasks/{id}/resume", pathOf(id))), () => runTexts.value.resumed);

/** Cancels the run unless the person takes it back. @param reload called when it is done */
export function cancelRun({ id, cells }: Run, reload: () => void): void {
  const t = runTexts.value;
  const cancel = async () => {
    await attempt(() => unwrap(v2.POST("/api/v2/tasks/{id}/cancel", pathOf(id))), () => t.cancelled);
    reload();
  };
  runUndoably(t.cancelling(cells.open), () => void cancel(), () => showToast({ text: t.notCancelled }));
}

/** Which failed cells are retried: all, those of a cause, or some. */
export interface RetryFilter {
  cause?: string;
  cells?: number[];
}

export const retryCells = (id: string, filter: RetryFilter) =>
  attempt(
    () => unwrap(v2.POST("/api/v2/tasks/{id}/retry", { ...pathOf(id), body: filter })),
    ({ cells }) => runTexts.value.retried(cells),
  );

export const exportFormats = ["csv", "ndjson", "html"] as const;

/** Downloads an export. The request needs the session, so that a link alone would not do. */
export async function exportRun(
  id: string,
  name: string,
  format: (typeof exportFormats)[number],
): Promise<void> {
  const t = runTexts.value;
  const hide = showToast({ text: t.exporting, seconds: 600 });
  await attempt(async () => {
    const url = new URL(`/api/v2/tasks/${encodeURIComponent(id)}/export?format=${format}`, location.origin);
    const response = await authorizedFetch(new Request(url));
    if (!response.ok) throw toApiError(response, await response.json().catch(() => undefined));
    const address = URL.createObjectURL(await response.blob());
    const link = document.createElement("a");
    link.href = address;
    link.download = `${name.replace(/[^\p{L}\p{N} ._-]+/gu, "_").slice(0, 80) || id}.${format}`;
    link.click();
    // The browser starts reading the URL while it handles the click.
    setTimeout(() => URL.revokeObjectURL(address), 60_000);
  }, () => t.exported);
  hide();
}
