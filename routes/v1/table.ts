/**
 * All routes of v1 with their access rules. The router, the `Allow` header and the authorisation tests use
 * this table.
 */
import { type AuthenticatedCall, type Call, respond } from "./call.ts";
import { docsFileRoutes, readDocs, readOpenapi } from "./docs.ts";
import { login } from "./login.ts";
import { cancelOwnTask, createTask, deleteOwnTask, readMatrix, readTask, readTasks } from "./tasks.ts";
import { changeUser, createUser, readMe, readUser, readUsers, removeUser } from "./users.ts";

/**
 * The callers that a route permits:
 *
 * - `anyone`: no token is needed;
 * - `reader`: anyone if PUBLIC_TASK_READS is set, otherwise any active user;
 * - `signed_in`: any active user;
 * - `signed_in_read`: any active user, and the response is the same for all;
 * - `owner`: any active user; the statement that changes the task checks its ownership;
 * - `staff`: an admin or a manager;
 * - `admin`: an admin.
 */
export type Access = "anyone" | "reader" | "signed_in_read" | "signed_in" | "owner" | "staff" | "admin";

interface RouteOf<A extends Access, C extends Call> {
  methods: readonly string[];
  /** The old backend's path with at most one `{id}`. It matches with and without a slash at its end. */
  path: string;
  access: A;
  /** The format of the body, which is parsed before the token is checked. */
  reads?: "json" | "form";
  /** Maximum size of the body in bytes, if it is smaller than that of other routes. */
  bodyBytesMax?: number;
  handle: (call: C) => Response | Promise<Response>;
}

export type Route =
  | RouteOf<"anyone" | "reader" | "signed_in_read", Call>
  | RouteOf<"signed_in" | "owner" | "staff" | "admin", AuthenticatedCall>;

const health = () => respond("success", '{"status":"healthy"}');
const get = ["GET"] as const;
const userBody = { reads: "json", bodyBytesMax: 1024 * 1024 } as const;

/**
 * The routes in the order of the old backend. `Allow` lists the methods of the first route that matches the
 * path.
 */
export const table: readonly Route[] = [
  { methods: ["GET", "HEAD"], path: "/openapi.json", access: "anyone", handle: readOpenapi },
  { methods: ["GET", "HEAD"], path: "/docs", access: "anyone", handle: readDocs },
  { methods: ["GET", "HEAD"], path: "/redoc", access: "anyone", handle: readDocs },
  ...docsFileRoutes,
  { methods: ["POST"], path: "/api/v1/auth/login", access: "anyone", reads: "form", handle: login },
  { methods: get, path: "/api/v1/users/me", access: "signed_in", handle: readMe },
  { methods: get, path: "/api/v1/users/{id}", access: "staff", handle: readUser },
  { methods: ["PUT"], path: "/api/v1/users/{id}", access: "admin", ...userBody, handle: changeUser },
  { methods: ["DELETE"], path: "/api/v1/users/{id}", access: "admin", handle: removeUser },
  { methods: get, path: "/api/v1/users/", access: "staff", handle: readUsers },
  { methods: ["POST"], path: "/api/v1/users/", access: "admin", ...userBody, handle: createUser },
  { methods: ["POST"], path: "/api/v1/tasks", access: "signed_in", reads: "json", handle: createTask },
  { methods: get, path: "/api/v1/tasks", access: "signed_in_read", handle: readTasks },
  { methods: get, path: "/api/v1/tasks/{id}", access: "reader", handle: readTask },
  { methods: ["DELETE"], path: "/api/v1/tasks/{id}", access: "owner", handle: deleteOwnTask },
  { methods: ["POST"], path: "/api/v1/tasks/{id}/cancel", access: "owner", handle: cancelOwnTask },
  { methods: get, path: "/api/v1/tasks/{id}/matrix", access: "reader", handle: readMatrix },
  { methods: get, path: "/health", access: "anyone", handle: health },
];
