/** Every route of v1 and who may call it; the router, the authorisation tests and `Allow` are made of this. */
import { answer, type Call, type SignedCall } from "./call.ts";
import { readDocs, readOpenapi } from "./docs.ts";
import { login } from "./login.ts";
import { cancelOwnTask, createTask, deleteOwnTask, readMatrix, readTask, readTasks } from "./tasks.ts";
import { changeUser, createUser, readMe, readUser, readUsers, removeUser } from "./users.ts";

/**
 * `anyone`; `reader`: anyone where PUBLIC_TASK_READS, else signed in; `signed_in`: any active user; `signed_in_read`:
 * the same, and all see the same; `owner`: signed in, and the statement that acts asks for ownership; `staff`: admin or
 * manager; `admin`.
 */
export type Who = "anyone" | "reader" | "signed_in_read" | "signed_in" | "owner" | "staff" | "admin";

interface RouteOf<W extends Who, C extends Call> {
  methods: readonly string[];
  /** As the old backend had it, with at most one `{id}`; answered with and without a slash at the end. */
  path: string;
  who: W;
  /** What of the body is parsed before anything else is looked at. */
  reads?: "json" | "form";
  /** Bytes of a body, where it never needs what others may have. */
  bodyBytesMax?: number;
  handle: (call: C) => Response | Promise<Response>;
}

export type Route =
  | RouteOf<"anyone" | "reader" | "signed_in_read", Call>
  | RouteOf<"signed_in" | "owner" | "staff" | "admin", SignedCall>;

const health = () => answer("success", '{"status":"healthy"}');
const get = ["GET"] as const;
const userBody = { reads: "json", bodyBytesMax: 1024 * 1024 } as const;

/** In the order of the old backend: `Allow` names the methods of the first route that fits the path. */
export const table: readonly Route[] = [
  { methods: ["GET", "HEAD"], path: "/openapi.json", who: "anyone", handle: readOpenapi },
  { methods: ["GET", "HEAD"], path: "/docs", who: "anyone", handle: readDocs },
  { methods: ["GET", "HEAD"], path: "/redoc", who: "anyone", handle: readDocs },
  { methods: ["POST"], path: "/api/v1/auth/login", who: "anyone", reads: "form", handle: login },
  { methods: get, path: "/api/v1/users/me", who: "signed_in", handle: readMe },
  { methods: get, path: "/api/v1/users/{id}", who: "staff", handle: readUser },
  { methods: ["PUT"], path: "/api/v1/users/{id}", who: "admin", ...userBody, handle: changeUser },
  { methods: ["DELETE"], path: "/api/v1/users/{id}", who: "admin", handle: removeUser },
  { methods: get, path: "/api/v1/users/", who: "staff", handle: readUsers },
  { methods: ["POST"], path: "/api/v1/users/", who: "admin", ...userBody, handle: createUser },
  { methods: ["POST"], path: "/api/v1/tasks", who: "signed_in", reads: "json", handle: createTask },
  { methods: get, path: "/api/v1/tasks", who: "signed_in_read", handle: readTasks },
  { methods: get, path: "/api/v1/tasks/{id}", who: "reader", handle: readTask },
  { methods: ["DELETE"], path: "/api/v1/tasks/{id}", who: "owner", handle: deleteOwnTask },
  { methods: ["POST"], path: "/api/v1/tasks/{id}/cancel", who: "owner", handle: cancelOwnTask },
  { methods: get, path: "/api/v1/tasks/{id}/matrix", who: "reader", handle: readMatrix },
  { methods: get, path: "/health", who: "anyone", handle: health },
];
