/** The requests that `deno task bench http` measures. */
import { importedEmail } from "../imported.ts";
import { createBody, email, importedTasks, largeTasks, openTasks, password } from "./rows.ts";

/** A request to measure. */
export interface Scenario {
  name: string;
  /** Who sends the request; a user with own rows by default. */
  email?: string;
  method: string;
  path: string;
  /** Headers besides Host, Authorization and Origin. */
  headers?: Record<string, string>;
  body?: string;
  /** Number of concurrent connections; the option `--connections` by default. */
  connections?: number;
  /** Maximum number of requests in a round. */
  requestsMax?: number;
  /** Expected status, 200 by default. With 304, the request carries the ETag and only the API is measured. */
  status?: number;
  /** Goal: minimum ratio to the bare handler's rate, or maximum median in milliseconds. */
  goal?: { ratio?: number; p50?: number };
}

const detail = (subtasks: keyof typeof largeTasks) => `/api/v1/tasks/${largeTasks[subtasks]}`;
const imported = (form: keyof typeof importedTasks): Scenario => ({
  name: `detail 3,024, imported, ${form}`,
  method: "GET",
  path: `/api/v1/tasks/${importedTasks[form]}`,
  connections: 1,
  goal: { p50: 20 },
});
const create = (name: string, lengths: number[], requestsMax: number, p50?: number): Scenario => ({
  name: `create ${name}`,
  method: "POST",
  path: "/api/v1/tasks",
  headers: { "content-type": "application/json" },
  body: createBody(lengths),
  connections: 1,
  requestsMax,
  ...(p50 === undefined ? {} : { goal: { p50 } }),
});

const open = (name: string, subtasks: keyof typeof openTasks): Scenario => ({
  name,
  method: "GET",
  path: `/api/v1/tasks/${openTasks[subtasks]}`,
  connections: 1,
  status: 304,
  goal: { p50: 3 },
});

export const scenarios: Scenario[] = [
  { name: "users/me", method: "GET", path: "/api/v1/users/me", goal: { ratio: 0.92 } },
  {
    name: "users/me, imported",
    email: importedEmail,
    method: "GET",
    path: "/api/v1/users/me",
    goal: { ratio: 0.92 },
  },
  { name: "list", method: "GET", path: "/api/v1/tasks", goal: { ratio: 0.92 } },
  {
    name: "list, imported",
    email: importedEmail,
    method: "GET",
    path: "/api/v1/tasks?task_name=imported",
    goal: { ratio: 0.92 },
  },
  { name: "list, name 夕阳", method: "GET", path: `/api/v1/tasks?task_name=${encodeURIComponent("夕阳")}` },
  { name: "detail 3,024", method: "GET", path: detail(3024), connections: 1, goal: { p50: 30 } },
  imported("float seeds"),
  imported("indices as objects"),
  { name: "detail 3,024, 4 at once", method: "GET", path: detail(3024) },
  { name: "detail 50,000", method: "GET", path: detail(50000), connections: 1, requestsMax: 5 },
  {
    name: "detail, not modified",
    method: "GET",
    path: detail(3024),
    connections: 1,
    status: 304,
    goal: { p50: 3 },
  },
  open("detail, not modified, open task", 3024),
  open("detail 50,000, not modified, open task", 50000),
  { name: "matrix 3,024", method: "GET", path: `${detail(3024)}/matrix`, connections: 1 },
  {
    name: "matrix 3,024, imported, indices as objects",
    method: "GET",
    path: `/api/v1/tasks/${importedTasks["indices as objects"]}/matrix`,
    connections: 1,
  },
  { name: "matrix 3,024, 4 at once", method: "GET", path: `${detail(3024)}/matrix` },
  create("12", [3, 4], 200),
  create("3,024", [42, 24, 3], 10, 250),
  create("50,000", [100, 100, 5], 3, 1500),
  {
    name: "login",
    method: "POST",
    path: "/api/v1/auth/login",
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: `username=${encodeURIComponent(email)}&password=${encodeURIComponent(password)}`,
    connections: 2,
    requestsMax: 10,
  },
];
