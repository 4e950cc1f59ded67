/** Generates requests for every operation of v1. The same seed and data give the same requests, simplest first. */
import fc from "fast-check";
import {
  brokenBody,
  refusedForm,
  refusedMultipart,
  refusedTaskText,
  refusedUserText,
  taskText,
  userChanges,
  userText,
} from "./bodies.ts";
import {
  anyAuth,
  encoded,
  type Headers,
  idOf,
  intText,
  jsonType,
  namePart,
  noAuth,
  param,
  params,
  plainHeaders,
  refusedAuth,
  statusText,
  unknownTask,
  unknownUser,
  withAuth,
} from "./parts.ts";
import type { Step } from "../../comparison/request.ts";

/** Ids and names that requests can use, read from the backends before. */
export interface Known {
  /** Ids of tasks and users, percent-encoded. */
  taskIds: string[];
  userIds: string[];
  usernames: string[];
  taskNames: string[];
}

/** Consecutive requests; only one unless writes are allowed. */
export type Case = Step[];

/** Generators of the parts of a request. */
interface Parts {
  method: string;
  path: fc.Arbitrary<string>;
  query?: fc.Arbitrary<string[]>;
  auth?: fc.Arbitrary<Headers>;
  headers?: fc.Arbitrary<Headers>;
  body?: fc.Arbitrary<Step["body"]>;
  save?: Record<string, string>;
}

/** Generates requests from their parts, with and without a trailing slash. */
function step({ method, path, query, auth, headers, body, save }: Parts): fc.Arbitrary<Step> {
  const slash = fc.oneof(
    { withCrossShrink: true },
    { weight: 6, arbitrary: fc.constant(false) },
    fc.constant(true),
  );
  return fc.record({
    path: fc.tuple(path, slash).map(([text, isToggled]) =>
      isToggled && text.length > 1 ? text.endsWith("/") ? text.slice(0, -1) : `${text}/` : text
    ),
    query: query ??
      fc.oneof({ withCrossShrink: true }, { weight: 9, arbitrary: fc.constant<string[]>([]) }, params()),
    parts: fc.tuple(auth ?? anyAuth, plainHeaders, headers ?? fc.constant<Headers>([])),
    body: body ?? fc.constant<Step["body"]>(null),
  }).map(({ path, query, parts, body }) => ({
    method,
    path,
    query,
    headers: parts.flat(),
    body,
    ...(save ? { save } : {}),
  }));
}

const fixedPath = (path: string): fc.Arbitrary<string> => fc.constant(path);
const json = { headers: jsonType };

/** Read requests with their query parameters. */
function reads(known: Known): fc.WeightedArbitrary<Step>[] {
  const task = idOf(known.taskIds);
  const listQuery = params(
    param("page", intText),
    param("page_size", intText),
    param("status", statusText),
    param("username", encoded(known.usernames, "", "nobody@example.com", "TESTER")),
    param(
      "task_name",
      fc.oneof(namePart(known.taskNames), encoded([], "(", "%", "_", "\\", "a.b", "(a+)+$", "*")),
    ),
  );
  const get = (path: fc.Arbitrary<string>, query?: fc.Arbitrary<string[]>) =>
    step({ method: "GET", path, ...(query ? { query } : {}) });
  return [
    { weight: 3, arbitrary: get(fixedPath("/api/v1/users/me")) },
    {
      weight: 5,
      arbitrary: get(fixedPath("/api/v1/users/"), params(param("skip", intText), param("limit", intText))),
    },
    { weight: 3, arbitrary: get(idOf(known.userIds).map((id) => `/api/v1/users/${id}`)) },
    { weight: 12, arbitrary: get(fixedPath("/api/v1/tasks"), listQuery) },
    { weight: 5, arbitrary: get(task.map((id) => `/api/v1/tasks/${id}`)) },
    { weight: 4, arbitrary: get(task.map((id) => `/api/v1/tasks/${id}/matrix`)) },
    {
      weight: 3,
      arbitrary: step({
        method: "GET",
        path: fc.constantFrom(
          "/health",
          "/openapi.json",
          "/docs",
          "/redoc",
          "/",
          "/api/v1",
          "/api/v1/nothing",
          "/API/v1/tasks",
          "/api/v1/tasks//",
          "/api/v1/tasks%2f",
          "/api/v1%2Ftasks",
          "//api/v1/tasks",
          "/api/v1//tasks",
          "/api/v1/./tasks",
          "/api/v1/users/../tasks",
          "/api/v1/users/%2e%2e/tasks",
          "/health%2F",
          "/api/v1/auth",
        ),
        auth: fc.oneof({ withCrossShrink: true }, noAuth, anyAuth),
      }),
    },
  ];
}

/** Requests with methods that a path does not support, and CORS preflights. */
function refusedMethods(): fc.WeightedArbitrary<Step>[] {
  const paths = fc.constantFrom(
    "/api/v1/tasks",
    "/api/v1/users/",
    "/api/v1/users/me",
    "/api/v1/auth/login",
    `/api/v1/tasks/${unknownTask}`,
    `/api/v1/tasks/${unknownTask}/matrix`,
    `/api/v1/tasks/${unknownTask}/cancel`,
    `/api/v1/users/${unknownUser}`,
    "/health",
    "/api/v1/nothing",
  );
  const preflight = fc.tuple(
    fc.constantFrom("http://localhost:3000", "https://evil.example", "null"),
    fc.constantFrom("POST", "GET", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "BREW", "post"),
    fc.constantFrom(undefined, "authorization,content-type", "X-Odd", "authorization, x-a"),
  ).map(([origin, method, names]): Headers => [
    ["Origin", origin],
    ["Access-Control-Request-Method", method],
    ...(names === undefined ? [] : [["Access-Control-Request-Headers", names]] as Headers),
  ]);
  const wrong = ["PATCH", "HEAD", "OPTIONS", "PROPFIND"].map((method) => step({ method, path: paths }));
  return [
    ...wrong.map((arbitrary) => ({ weight: 1, arbitrary })),
    {
      weight: 1,
      arbitrary: step({ method: "PUT", path: fc.constantFrom("/api/v1/tasks", "/api/v1/users/", "/health") }),
    },
    {
      weight: 1,
      arbitrary: step({
        method: "DELETE",
        path: fc.constantFrom("/api/v1/tasks", "/api/v1/users/", "/health"),
      }),
    },
    { weight: 3, arbitrary: step({ method: "OPTIONS", path: paths, auth: noAuth, headers: preflight }) },
  ];
}

/** Write requests that every backend rejects, so that nothing is stored. */
function refusedWrites(): fc.WeightedArbitrary<Step>[] {
  const body = (text: fc.Arbitrary<string>) => fc.oneof({ withCrossShrink: true }, text, brokenBody);
  const form = fc.oneof(
    refusedForm.map((text) => ({ type: "application/x-www-form-urlencoded", text })),
    refusedMultipart.map((text) => ({ type: "multipart/form-data; boundary=B", text })),
    fc.constantFrom('{"username":"a","password":"b"}', "").map((text) => ({
      type: "application/json",
      text,
    })),
  );
  const login = form.chain(({ type, text }) =>
    step({
      method: "POST",
      path: fixedPath("/api/v1/auth/login"),
      auth: noAuth,
      headers: fc.constant<Headers>([["Content-Type", type]]),
      body: fc.constant(text),
    })
  );
  const post = (path: string, auth: fc.Arbitrary<Headers>, text: fc.Arbitrary<string>) =>
    step({ method: "POST", path: fixedPath(path), auth, body: body(text), ...json });
  const other = (method: string, path: string) => step({ method, path: fixedPath(path) });
  return [
    { weight: 4, arbitrary: post("/api/v1/tasks", anyAuth, refusedTaskText) },
    { weight: 1, arbitrary: post("/api/v1/tasks", refusedAuth, taskText) },
    { weight: 4, arbitrary: post("/api/v1/users/", anyAuth, refusedUserText) },
    { weight: 1, arbitrary: post("/api/v1/users/", refusedAuth, userText) },
    {
      weight: 3,
      arbitrary: step({
        method: "PUT",
        path: fc.constantFrom(`/api/v1/users/${unknownUser}`, "/api/v1/users/nope"),
        body: body(userChanges),
        ...json,
      }),
    },
    { weight: 1, arbitrary: other("DELETE", `/api/v1/users/${unknownUser}`) },
    { weight: 1, arbitrary: other("DELETE", `/api/v1/tasks/${unknownTask}`) },
    { weight: 1, arbitrary: other("POST", `/api/v1/tasks/${unknownTask}/cancel`) },
    { weight: 3, arbitrary: login },
  ];
}

/** Sign-ins that reach the password check. They are rare, since hashing is slow and sign-ins are throttled. */
const signIns: fc.WeightedArbitrary<Step> = {
  weight: 1,
  arbitrary: step({
    method: "POST",
    path: fixedPath("/api/v1/auth/login"),
    auth: noAuth,
    headers: fc.constant<Headers>([["Content-Type", "application/x-www-form-urlencoded"]]),
    body: fc.constantFrom(
      "username=${email}&password=${password}",
      "username=${email}&password=wrong",
      "username=nobody%40example.com&password=x",
      "grant_type=password&scope=&username=${email}&password=${password}",
    ),
  }),
};

/** Cases that create a task or a user and then use it. If the creation fails, they use an unknown id. */
function writes(): fc.Arbitrary<Case> {
  const signedIn = withAuth(fc.constant("Bearer ${token}"));
  const call = (method: string, path: string, body?: fc.Arbitrary<Step["body"]>) =>
    step({
      method,
      path: fixedPath(path),
      auth: signedIn,
      ...(body ? { body, headers: fc.constant<Headers>([["Content-Type", "application/json"]]) } : {}),
    });
  const onTask = fc.oneof(
    call("GET", "/api/v1/tasks/${task}"),
    call("GET", "/api/v1/tasks/${task}/matrix"),
    call("POST", "/api/v1/tasks/${task}/cancel"),
    call("DELETE", "/api/v1/tasks/${task}"),
    call("GET", "/api/v1/tasks"),
  );
  const onUser = fc.oneof(
    call("GET", "/api/v1/users/${user}"),
    call("PUT", "/api/v1/users/${user}", userChanges),
    call("DELETE", "/api/v1/users/${user}"),
  );
  const make = (path: string, text: fc.Arbitrary<string>, name: string) =>
    step({
      method: "POST",
      path: fixedPath(path),
      auth: signedIn,
      headers: fc.constant<Headers>([["Content-Type", "application/json"]]),
      body: text,
      save: { [name]: "/data/id" },
    });
  const then = (first: fc.Arbitrary<Step>, rest: fc.Arbitrary<Step>): fc.Arbitrary<Case> =>
    fc.tuple(first, fc.array(rest, { maxLength: 4 })).map(([head, tail]) => [head, ...tail]);
  return fc.oneof(
    { weight: 3, arbitrary: then(make("/api/v1/tasks", taskText, "task"), onTask) },
    { weight: 2, arbitrary: then(make("/api/v1/users/", userText, "user"), onUser) },
  );
}

/** Generates all cases. Cases that write are included only if `withWrites` is set. */
export function createCases(known: Known, withWrites: boolean): fc.Arbitrary<Case> {
  const single = fc.oneof(...reads(known), ...refusedMethods(), ...refusedWrites(), signIns).map((
    one,
  ): Case => [one]);
  return withWrites ? fc.oneof({ weight: 3, arbitrary: single }, { weight: 1, arbitrary: writes() }) : single;
}
