/** What a person may do to a run from the list. */
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { asApiError } from "../../api/problem.ts";
import { hasRole } from "../../api/session.ts";
import type { MenuItem } from "../../kit/menu.tsx";
import { navigate } from "../../kit/router.tsx";
import { describeFailure } from "../../kit/states.tsx";
import { runUndoably, showToast } from "../../kit/toast.tsx";
import { type Activity, isOpen, type Run } from "./activity.ts";
import { runsTexts } from "./texts.ts";

/** Changes of the list that the actions need. */
export interface ListControl {
  reload: () => void;
  /** Hides a run that is going to be deleted, or shows it again. */
  hide: (id: string, isHidden: boolean) => void;
}

/** Runs a change and says how it went. */
async function change<T>(
  work: () => Promise<T>,
  done: (result: T) => string,
  control: ListControl,
): Promise<void> {
  try {
    showToast({ text: done(await work()) });
  } catch (error) {
    showToast({ text: runsTexts.value.toast.failed(describeFailure(asApiError(error))), kind: "failed" });
  }
  control.reload();
}

const pathOf = ({ id }: Run) => ({ params: { path: { id } } });

/** Reports whether the person may steer the run. */
export const maySteer = (run: Run): boolean => run.mine || hasRole("admin");

function pause(run: Run, control: ListControl): void {
  const { toast } = runsTexts.value;
  const work = () => unwrap(v2.POST("/api/v2/tasks/{id}/pause", pathOf(run)));
  void change(work, () => toast.paused(run.name), control);
}

function resume(run: Run, control: ListControl): void {
  const { toast } = runsTexts.value;
  const work = () => unwrap(v2.POST("/api/v2/tasks/{id}/resume", pathOf(run)));
  void change(work, () => toast.resumed(run.name), control);
}

function cancel(run: Run, { cells }: Activity, control: ListControl): void {
  const { toast } = runsTexts.value;
  const work = () => unwrap(v2.POST("/api/v2/tasks/{id}/cancel", pathOf(run)));
  const open = cells.pending + cells.processing;
  runUndoably(
    toast.cancelling(run.name, open),
    () => void change(work, () => toast.cancelled(run.name), control),
  );
}

function retry(run: Run, control: ListControl): void {
  const work = () => unwrap(v2.POST("/api/v2/tasks/{id}/retry", { ...pathOf(run), body: {} }));
  const done = ({ cells }: Schemas["Retried"]) => runsTexts.value.toast.retried(cells);
  void change(work, done, control);
}

function remove(run: Run, control: ListControl): void {
  const { toast } = runsTexts.value;
  control.hide(run.id, true);
  runUndoably(toast.removing(run.name), async () => {
    try {
      await unwrap(v2.DELETE("/api/v2/tasks/{id}", pathOf(run)));
    } catch (error) {
      control.hide(run.id, false);
      showToast({ text: toast.failed(describeFailure(asApiError(error))), kind: "failed" });
    }
  }, () => control.hide(run.id, false));
}

/** Returns the items of a run's menu. */
export function listActions(run: Run, activity: Activity, control: ListControl): (MenuItem | undefined)[] {
  const { act } = runsTexts.value;
  const isMember = hasRole("user", "manager", "admin");
  const items: (MenuItem | undefined)[] = [];
  if (isMember) items.push({ label: act.clone, icon: "copy", run: () => navigate(`/new?from=${run.id}`) });
  if (!maySteer(run)) return items;
  const { failed } = activity.cells;
  items.push(undefined);
  if (failed > 0) items.push({ label: act.retry(failed), icon: "retry", run: () => retry(run, control) });
  if (activity.hold !== null) {
    items.push({
      label: act.resume,
      icon: "play",
      run: () => resume(run, control),
    });
  } else if (isOpen(activity)) {
    items.push({
      label: act.pause,
      icon: "pause",
      run: () => pause(run, control),
    });
  }
  if (isOpen(activity)) {
    items.push({
      label: act.cancel,
      icon: "stop",
      isDanger: true,
      run: () => cancel(run, activity, control),
    });
  }
  items.push({ label: act.remove, icon: "trash", isDanger: true, run: () => remove(run, control) });
  return items;
}
