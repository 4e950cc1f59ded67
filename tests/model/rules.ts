/** What must hold of the queue, in every state and for every move. */
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

export const stateRules: Model<State>["states"] = [
  {
    name: "the counters are those of the rows",
    holds: (s) =>
      s.completed === count(s, completed) && s.failed === count(s, failed) &&
      s.cancelled === count(s, cancelled),
  },
  { name: "an attempt is POSTed once", holds: (s) => s.cells.every(({ twice }) => twice === 0) },
  {
    name: "a POST is made again only after a failure, or where its id could not be saved",
    holds: (s) => s.cells.every(({ allowed }) => allowed >= 0),
  },
  { name: "every lost POST is counted", holds: (s) => s.cells.every(({ counted }) => counted >= 0) },
  {
    name: "a task is told of once for each kind",
    holds: ({ told }) => told.completed <= 1 && told.partial <= 1 && told.failed <= 1,
  },
  {
    name: "the task has ended when its subtasks have",
    holds: (s) =>
      s.cells.every(({ status }) => hasEnded(status))
        ? hasEnded(s.status)
        : s.status === pending || s.sweeping === 1,
  },
  {
    name: "a task that ended by itself is told of",
    holds: ({ status, told }) =>
      status !== completed && status !== failed || told.completed + told.partial + told.failed > 0,
  },
];

/** Number of the worker that acts; undefined for leaders, users and Redis. */
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

export const moveRules: Model<State>["moves"] = [
  {
    name: "what has ended stays as it ended",
    holds: everyCell((a, b, _, action) =>
      !hasEnded(a.status) || a.status === b.status ||
      (a.status === failed && b.status === pending && isRetry(action))
    ),
  },
  {
    name: "nothing starts after its task was cancelled",
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
        action.includes("gives back");
    }),
  },
  {
    name: "nobody takes the lease of a worker that lives",
    holds: everyCell((a, b, _, action, from) => {
      if (a.status !== processing || a.lease === b.lease || b.status === cancelled) return true;
      return from.workers[a.owner]?.signed !== 1 || actor(action) === a.owner;
    }),
  },
  {
    name: "the task ends once",
    holds: (from, to, action) => !hasEnded(from.status) || from.status === to.status || isRetry(action),
  },
];
