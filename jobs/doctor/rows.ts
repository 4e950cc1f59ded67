/** The doctor's checks of tasks, cells and notices. */
import { releaseUnleased } from "../../db/queue/control.ts";
import { releaseOrphans } from "../../db/queue/dispatch.ts";
import {
  closeTask,
  correctEnd,
  countAbandonedNotices,
  findCancellingTasks,
  findCounterMismatches,
  findEndMismatches,
  findLostCells,
  findMissingEndNotices,
  findStuckNotices,
  findTasksWithOpenCells,
  findUnclosedTasks,
  insertEndNotice,
  recountTask,
  repairOpenCells,
} from "../../db/queue/doctor.ts";
import { makeNoticeDue } from "../../db/queue/doctor_fleet.ts";
import { sweepCancelled } from "../../db/queue/tasks.ts";
import type { Check, DoctorDeps } from "./check.ts";
import { deadAfterMs, noticeLateMs, overdueMs } from "../../db/queue/times.ts";
import { counted, inflect } from "../../phrases.ts";

/** Number of tries from which a late notice's text names them. */
const triesReported = 3;
const daysOf = ({ days = 7 }: DoctorDeps) => days;

const counters: Check = {
  name: "counters",
  async examine(deps) {
    const found = await findCounterMismatches(deps.sql, daysOf(deps));
    return found.map(({ task_id, stored, actual }) => ({
      about: task_id,
      fault: true,
      text:
        `the counters of task ${task_id} (total, completed, failed, cancelled) are ${stored.join(", ")}; ` +
        `its rows count ${actual.join(", ")}`,
      advice: "the counters are set from its rows",
      fix: () => recountTask(deps.sql, task_id),
    }));
  },
};

const unclosed: Check = {
  name: "unclosed_tasks",
  async examine({ sql }) {
    return (await findUnclosedTasks(sql)).map(({ task_id }) => ({
      about: task_id,
      fault: true,
      text: `task ${task_id} is open although all its cells have ended`,
      advice: "the task is ended from its rows, with a notice",
      fix: () => closeTask(sql, task_id),
    }));
  },
};

const openCells: Check = {
  name: "open_cells",
  async examine(deps) {
    const found = await findTasksWithOpenCells(deps.sql, daysOf(deps));
    return found.map(({ task_id, status, cells }) => ({
      about: task_id,
      fault: true,
      text: `task ${task_id} is ${status}, and ${cells} of its cells ${
        inflect(cells, "is", "are")
      } pending or processing`,
      advice: status === "cancelled"
        ? "these cells are cancelled"
        : "the task is opened again, and these cells are drawn",
      fix: () => repairOpenCells(deps.sql, task_id),
    }));
  },
};

const sweeping: Check = {
  name: "cancelling",
  async examine({ sql }) {
    return (await findCancellingTasks(sql)).map(({ task_id }) => ({
      about: task_id,
      fault: true,
      text: `task ${task_id} was cancelled, and its pending cells are not cancelled yet`,
      advice: "they are cancelled; a running leader does so within a second",
      fix: async () => {
        while (await sweepCancelled(sql, task_id, 5_000));
      },
    }));
  },
};

const ends: Check = {
  name: "ends",
  async examine(deps) {
    const found = await findEndMismatches(deps.sql, daysOf(deps));
    return found.map(({ task_id, status, completed_at, all_subtasks_completed }) => ({
      about: task_id,
      fault: true,
      text: `task ${task_id} is ${status}, with completed_at ${completed_at?.toISOString() ?? "empty"} and ` +
        `all_subtasks_completed ${all_subtasks_completed}`,
      advice: "both columns are set from its status",
      fix: () => correctEnd(deps.sql, task_id),
    }));
  },
};

const lostCells: Check = {
  name: "leases",
  async examine({ sql }) {
    const found = await findLostCells(sql, { deadAfterMs, overdueMs });
    return found.map(({ task_id, id, cell, queue, worker_id, why }) => ({
      about: id,
      fault: true,
      text: `cell ${cell ?? id} of task ${task_id} (${queue}) is processing ` +
        `${worker_id === null ? "without a worker" : `at worker ${worker_id}`}: ${why}`,
      advice:
        "the cell becomes pending; if its remote job is known, the next worker polls it, at no further cost",
      fix: () => worker_id === null ? releaseUnleased(sql, task_id) : releaseOrphans(sql, overdueMs),
    }));
  },
};

const notices: Check = {
  name: "notices",
  async examine({ sql }) {
    const stuck = (await findStuckNotices(sql, noticeLateMs)).map((
      { id, task_id, kind, tries, error, late_s },
    ) => ({
      about: id,
      fault: true,
      text: `notice '${kind}' of task ${task_id} is ${late_s} s late` +
        (tries >= triesReported || error !== null
          ? `, after ${counted(tries, "try", "tries")} (${error ?? "no answer recorded"})`
          : ""),
      advice: "the notice becomes due now; the leader sends it, so a worker must be running",
      fix: () => makeNoticeDue(sql, id),
    }));
    const abandoned = await countAbandonedNotices(sql);
    if (abandoned === 0) return stuck;
    return [...stuck, {
      about: "abandoned",
      fault: false,
      text: `${counted(abandoned, "notice")} ${
        inflect(abandoned, "was", "were")
      } abandoned in the last day, because a receiver refused`,
      advice: "check NOTIFY_URLS and the receivers",
    }];
  },
};

const missingNotices: Check = {
  name: "untold_ends",
  async examine(deps) {
    return (await findMissingEndNotices(deps.sql, daysOf(deps))).map(({ task_id }) => ({
      about: task_id,
      fault: true,
      text: `task ${task_id} has ended, and the notice of its end is missing`,
      advice: "the notice is inserted",
      fix: () => insertEndNotice(deps.sql, task_id),
    }));
  },
};

export const rowChecks: Check[] = [
  counters,
  unclosed,
  openCells,
  sweeping,
  ends,
  lostCells,
  notices,
  missingNotices,
];
