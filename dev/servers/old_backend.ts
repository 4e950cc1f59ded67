/**
 * A small played old backend: v1's calls over HTTP, and an executor, on a real MongoDB. It writes documents as the old
 * backend did, and answers 200 only for writes that the majority of the replica set has acknowledged.
 */
import bcrypt from "bcryptjs";
import type { Document } from "mongodb";
import { parseJson } from "../../json.ts";
import { addCors, respondToPreflight } from "../../routes/common/cors.ts";
import { createTokens, type Tokens } from "../../routes/common/tokens.ts";
import { respond } from "../../routes/v1/call.ts";
import { faultToJson, HttpError, ValidationError } from "../../routes/v1/http_error.ts";
import { Executor, type ExecutorOptions } from "./old_backend/executor.ts";
import { findFirst, openStore, type Store } from "./old_backend/store.ts";
import { listTasks, readMatrix, readTask } from "./old_backend/task_reads.ts";
import { cancelTask, createTask, deleteTask } from "./old_backend/task_writes.ts";
import {
  changeUser,
  createUser,
  makeUser,
  readUser,
  readUsers,
  removeUser,
  userToJson,
} from "./old_backend/users.ts";

export interface OldBackendOptions {
  mongoUrl: string;
  database: string;
  secret: string;
  /** By default, a free one. */
  port?: number;
  executor?: ExecutorOptions;
}

export interface OldBackend extends AsyncDisposable {
  origin: string;
  store: Store;
  /** Takes subtasks from the start; `drain` and `stop` end that. */
  executor: Executor;
  /** Adds a user without a call. */
  addUser(email: string, password: string, roles?: string[]): Promise<Document>;
}

interface Call {
  store: Store;
  tokens: Tokens;
  request: Request;
  url: URL;
  id: string;
  user: Document;
}

interface Route {
  method: string;
  path: RegExp;
  access: "anyone" | "signed_in" | "staff" | "admin";
  handle(call: Call): Response | Promise<Response>;
}

const challenge = { "www-authenticate": "Bearer" };

async function readObject(request: Request) {
  const body = parseJson(await request.text());
  if (!(body instanceof Map)) throw new HttpError(400, "There was an error parsing the body");
  return body;
}

async function login({ store, tokens, request }: Call): Promise<Response> {
  const form = await request.formData();
  const user = await findFirst(store.users, { email: String(form.get("username")) });
  if (!user || !bcrypt.compareSync(String(form.get("password")), user.hashed_password)) {
    throw new HttpError(401, "邮箱或密码错误", challenge);
  }
  const token = await tokens.sign({ sub: String(user._id), email: user.email });
  return respond("登录成功", JSON.stringify({ access_token: token, token_type: "bearer" }));
}

const numberOf = (url: URL, name: string, byDefault: number) =>
  Number(url.searchParams.get(name) ?? byDefault);
const task = "/api/v1/tasks/([^/]+)";

/** The old backend's routes. Its redirects of slashes are answered directly. */
const routes: readonly Route[] = [
  {
    method: "GET",
    path: /^\/health$/,
    access: "anyone",
    handle: () => respond("success", '{"status":"healthy"}'),
  },
  { method: "POST", path: /^\/api\/v1\/auth\/login$/, access: "anyone", handle: login },
  {
    method: "GET",
    path: /^\/api\/v1\/users\/me$/,
    access: "signed_in",
    handle: ({ user }) => respond("success", userToJson(user)),
  },
  {
    method: "GET",
    path: /^\/api\/v1\/users$/,
    access: "staff",
    handle: ({ store, url }) => readUsers(store, numberOf(url, "skip", 0), numberOf(url, "limit", 100)),
  },
  {
    method: "POST",
    path: /^\/api\/v1\/users$/,
    access: "admin",
    handle: async ({ store, request }) => await createUser(store, await readObject(request)),
  },
  {
    method: "GET",
    path: /^\/api\/v1\/users\/([^/]+)$/,
    access: "staff",
    handle: ({ store, id }) => readUser(store, id),
  },
  {
    method: "PUT",
    path: /^\/api\/v1\/users\/([^/]+)$/,
    access: "admin",
    handle: async ({ store, id, request }) => await changeUser(store, id, await readObject(request)),
  },
  {
    method: "DELETE",
    path: /^\/api\/v1\/users\/([^/]+)$/,
    access: "admin",
    handle: ({ store, id }) => removeUser(store, id),
  },
  {
    method: "POST",
    path: /^\/api\/v1\/tasks$/,
    access: "signed_in",
    handle: async ({ store, user, request }) =>
      await createTask(store, user.email, await readObject(request)),
  },
  {
    method: "GET",
    path: /^\/api\/v1\/tasks$/,
    access: "signed_in",
    handle: ({ store, url }) => listTasks(store, new Map(url.searchParams)),
  },
  {
    method: "GET",
    path: new RegExp(`^${task}$`),
    access: "anyone",
    handle: ({ store, id }) => readTask(store, id),
  },
  {
    method: "GET",
    path: new RegExp(`^${task}/matrix$`),
    access: "anyone",
    handle: ({ store, id }) => readMatrix(store, id),
  },
  {
    method: "POST",
    path: new RegExp(`^${task}/cancel$`),
    access: "signed_in",
    handle: ({ store, id, user }) => cancelTask(store, id, user.email),
  },
  {
    method: "DELETE",
    path: new RegExp(`^${task}$`),
    access: "signed_in",
    handle: ({ store, id, user }) => deleteTask(store, id, user.email),
  },
];

async function authenticate(store: Store, tokens: Tokens, request: Request): Promise<Document> {
  const [scheme = "", token = ""] = (request.headers.get("authorization") ?? "").split(" ");
  if (scheme.toLowerCase() !== "bearer") throw new HttpError(401, "Not authenticated", challenge);
  const payload = await tokens.verify(token);
  if (!payload) throw new HttpError(401, "无效的认证凭据", challenge);
  const user = await findFirst(store.users, { email: payload.email });
  if (!user) throw new HttpError(401, "用户不存在", challenge);
  if (!user.is_active) throw new HttpError(401, "用户已禁用", challenge);
  return user;
}

function authorize(access: Route["access"], { roles }: Document): void {
  if (access === "admin" && !roles.includes("admin")) throw new HttpError(403, "权限不足，需要管理员权限");
  if (access === "staff" && !roles.includes("admin") && !roles.includes("manager")) {
    throw new HttpError(403, "权限不足，需要管理员或经理权限");
  }
}

async function answer(store: Store, tokens: Tokens, request: Request): Promise<Response> {
  const url = new URL(request.url);
  const path = url.pathname.length > 1 ? url.pathname.replace(/\/$/, "") : url.pathname;
  const known = routes.filter((route) => route.path.test(path));
  if (known.length === 0) throw new HttpError(404, "Not Found");
  const route = known.find(({ method }) => method === request.method);
  if (!route) throw new HttpError(405, "Method Not Allowed", { allow: known[0]!.method });
  const id = decodeURIComponent(route.path.exec(path)![1] ?? "");
  const user = route.access === "anyone" ? {} : await authenticate(store, tokens, request);
  if (route.access !== "anyone") authorize(route.access, user);
  return await route.handle({ store, tokens, request, url, id, user });
}

function answerError(error: unknown): Response {
  const json = { "content-type": "application/json" };
  if (error instanceof HttpError) {
    const { status, message, headers } = error;
    return new Response(JSON.stringify({ detail: message }), {
      status,
      headers: Object.assign({}, json, headers),
    });
  }
  if (error instanceof ValidationError) {
    return new Response(`{"detail":[${error.faults.map(faultToJson).join()}]}`, {
      status: 422,
      headers: json,
    });
  }
  // FastAPI answers any other failure so, also when the database is not available.
  return new Response("Internal Server Error", { status: 500 });
}

/** Starts the backend and its executor. */
export async function startOldBackend(
  { mongoUrl, database, secret, port = 0, executor: options = {} }: OldBackendOptions,
): Promise<OldBackend> {
  const store = await openStore(mongoUrl, database);
  const tokens = createTokens(secret, 10_080);
  const executor = new Executor(store, options);
  const server = Deno.serve({ port, hostname: "127.0.0.1", onListen: () => {} }, async (request) => {
    const preflight = respondToPreflight(request, ["*"]);
    if (preflight) return preflight;
    const response = await answer(store, tokens, request).catch(answerError);
    addCors(request, response.headers, ["*"]);
    return response;
  });
  executor.start();
  return {
    origin: `http://127.0.0.1:${server.addr.port}`,
    store,
    executor,
    async addUser(email, password, roles = ["user"]) {
      const user = makeUser(email, password, new Map([["roles", roles]]));
      await store.users.insertOne(user);
      return user;
    },
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      await executor.stop();
      await store[Symbol.asyncDispose]();
    },
  };
}
