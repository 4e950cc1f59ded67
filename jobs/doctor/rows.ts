/** The doctor's checks of tasks, cells and notices. */
import { releaseUnheld } from "../../db/queue/control.ts";
import { releaseOrphans } from "../../db/queue/dispatch.ts";
import {
  closeTask,
  correctEnd,
  countGivenUp,
  findCountersOff,
  findLostCells,
  findOpenCells,
  findStuckNotices,
  findSweeping,
  findUnclosed,
  findUntold,
  findWrongEnds,
  insertEndNotice,
  recountTask,
  settleOpenCells,
} from "../../db/queue/doctor.ts";
import { makeNoticeDue } from "../../db/queue/doctor_fleet.ts";
import { sweepCancelled } from "../../db/queue/tasks.ts";
import type { Check, DoctorDeps } from "./check.ts";
import { deadAfterMs } from "../lead/leader.ts";
import { overdueMs } from "../lead/reconcile.ts";

const lateMs = 5 * 60_000;
const triesToSay = 3;
const daysOf = ({ days = 7 }: DoctorDeps) => days;

const counters: Check = {
  name: "counters",
  async examine(deps) {
    const found = await findCountersOff(deps.sql, daysOf(deps));
    return found.map(({ task_id, said, are }) => ({
      about: task_id,
      fault: true,
      text: `task ${task_id} counts total, completed, failed, cancelled as ${said.join(", ")}; its rows are ${
        are.join(", ")
      }`,
      advice: "its rows are counted again",
      fix: () => recountTask(deps.sql, task_id),
    }));
  },
};

const unclosed: Check = {
  name: "unclosed_tasks",
  async examine({ sql }) {
    return (await findUnclosed(sql)).map(({ task_id }) => ({
      about: task_id,
      fault: true,
      text: `task ${task_id} is open although all its cells have ended`,
      advice: "it is ended by its rows, and told of",
      fix: () => closeTask(sql, task_id),
    }));
  },
};

const openCells: Check = {
  name: "open_cells",
  async examine(deps) {
    const found = await findOpenCells(deps.sql, daysOf(deps));
    return found.map(({ task_id, status, cells }) => ({
      about: task_id,
      fault: true,
      text: `task ${task_id} is ${status}, and ${cells} of its cells are pending or processing`,
      advice: status === "cancelled"
        ? "these cells are cancelled"
        : "the task is opened again, so that they are drawn",
      fix: () => settleOpenCells(deps.sql, task_id),
    }));
  },
};

const sweeping: Check = {
  name: "cancelling",
  async examine({ sql }) {
    return (await findSweeping(sql)).map(({ task_id }) => ({
      about: task_id,
      fault: true,
      text: `task ${task_id} was cancelled, and its pending cells are still not swept`,
      advice: "they are swept; a leader does so within a second",
      fix: async () => {
        while (await sweepCancelled(sql, task_id, 5_000));
      },
    }));
  },
};

const ends: Check = {
  name: "ends",
  async examine(deps) {
    const found = await findWrongEnds(deps.sql, daysOf(deps));
    return found.map(({ task_id, status, completed_at, all_subtasks_completed }) => ({
      about: task_id,
      fault: true,
      text: `task ${task_id} is ${status}, with completed_at ${completed_at?.toISOString() ?? "empty"} and ` +
        `all_subtasks_completed ${all_subtasks_completed}`,
      advice: "the two follow its status",
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
      text: `cell ${cell ?? id} of task ${task_id} (${queue}) is processing, but its worker ` +
        `${worker_id ?? "is nobody"}: ${why}`,
      advice:
        "it becomes pending; where the generator's job is known, the next worker polls on and nobody pays twice",
      fix: () => worker_id === null ? releaseUnheld(sql, task_id) : releaseOrphans(sql, overdueMs),
    }));
  },
};

const notices: Check = {
  name: "notices",
  async examine({ sql }) {
    const stuck = (await findStuckNotices(sql, lateMs)).map((
      { id, task_id, kind, tries, error, late_s },
    ) => ({
      about: id,
      fault: true,
      text: `notice '${kind}' of task ${task_id} is ${late_s} s late` +
        (tries >= triesToSay || error !== null
          ? `, after ${tries} tries (${error ?? "no answer kept"})`
          : ""),
      advice: "it is made due now; the leader sends it, so a worker must be running",
      fix: () => makeNoticeDue(sql, id),
    }));
    const givenUp = await countGivenUp(sql);
    if (givenUp === 0) return stuck;
    const text = `${givenUp} notices were given up in the last day: an address did not take them`;
    return [...stuck, {
      about: "given up",
      fault: false,
      text,
      advice: "look at NOTIFY_URLS and the receivers",
    }];
  },
};

const untold: Check = {
  name: "untold_ends",
  async examine(deps) {
    return (await findUntold(deps.sql, daysOf(deps))).map(({ task_id }) => ({
      about: task_id,
      fault: true,
      text: `task ${task_id} has ended, and no notice of its end was written`,
      advice: "its notice is written",
      fix: () => insertEndNotice(deps.sql, task_id),
    }));
  },
};

export const rowChecks: Check[] = [counters, unclosed, openCells, sweeping, ends, lostCells, notices, untold];
