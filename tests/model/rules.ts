/** The rules of the queue for every state and every move. */
import type { Model } from "./checker.ts";
import { retryName } from "./setting.ts";
import {
  cancelled,
  type Cell,
  completed,
  failed,
  hasEnded,
  pending,
  processing,
  type State,
} from "./state.ts";

const count = (s: State, status: number): number => s.cells.filter((cell) => cell.status === status).length;

/** Rules for every state. */
export const stateRules: Model<State>["states"] = [
  {
    name: "the counters equal the rows",
    holds: (s) =>
      s.completed === count(s, completed) && s.failed === count(s, failed) &&
      s.cancelled === count(s, cancelled),
  },
  { name: "an attempt has one POST", holds: (s) => s.cells.every(({ isRepeated }) => isRepeated === 0) },
  {
    name: "a POST is repeated only after a failure or after its id could not be saved",
    holds: (s) => s.cells.every(({ allowed }) => allowed >= 0),
  },
  { name: "every lost POST is counted", holds: (s) => s.cells.every(({ counted }) => counted >= 0) },
  {
    name: "a task has one notice of each kind",
    holds: ({ noticeCounts }) =>
      noticeCounts.completed <= 1 && noticeCounts.partial <= 1 && noticeCounts.failed <= 1,
  },
  {
    name: "the task has ended if its subtasks have",
    holds: (s) =>
      s.cells.every(({ status }) => hasEnded(status))
        ? hasEnded(s.status)
        : s.status === pending || s.sweeping === 1,
  },
  {
    name: "a task that ended by itself has a notice",
    holds: ({ status, noticeCounts }) =>
      status !== completed && status !== failed ||
      noticeCounts.completed + noticeCounts.partial + noticeCounts.failed > 0,
  },
];

/** Returns the number of the acting worker; undefined for leaders, users and Redis. */
const actor = (action: string): number | undefined =>
  action.startsWith("worker ") ? Number(action.charAt(7)) : undefined;

const rowChanged = (a: Cell, b: Cell): boolean =>
  a.status !== b.status || a.lease !== b.lease || a.attempt !== b.attempt || a.remote !== b.remote ||
  a.intent !== b.intent || a.wait !== b.wait || a.failures !== b.failures;

const everyCell = (rule: (a: Cell, b: Cell, id: number, action: string, from: State) => boolean) =>
(
  from: State,
  to: State,
  action: string,
): boolean => from.cells.every((cell, id) => rule(cell, to.cells[id]!, id, action, from));

const isRetry = (action: string): boolean => action === retryName;

/** Rules for every move. */
export const moveRules: Model<State>["moves"] = [
  {
    name: "an end state does not change",
    holds: everyCell((a, b, _, action) =>
      !hasEnded(a.status) || a.status === b.status ||
      (a.status === failed && b.status === pending && isRetry(action))
    ),
  },
  {
    name: "nothing starts after the cancellation of its task",
    holds: everyCell((a, b, _, __, from) =>
      !(a.status === pending && b.status === processing) || from.status === pending
    ),
  },
  {
    name: "a write under a lost lease changes nothing",
    holds: everyCell((a, b, id, action, from) => {
      if (!rowChanged(a, b)) return true;
      const worker = from.workers[actor(action) ?? 9];
      return !worker || worker.lease === 0 || worker.cell !== id || a.lease === worker.lease ||
        action.includes("releases a lease");
    }),
  },
  {
    name: "a living worker keeps its lease",
    holds: everyCell((a, b, _, action, from) => {
      // The only lease that a registered worker loses: if it lives, the next worker polls the same job.
      if (action.includes("of a silent worker")) return true;
      if (a.status !== processing || a.lease === b.lease || b.status === cancelled) return true;
      return from.workers[a.owner]?.registered !== 1 || actor(action) === a.owner;
    }),
  },
  {
    name: "the task ends once",
    holds: (from, to, action) => !hasEnded(from.status) || from.status === to.status || isRetry(action),
  },
];
