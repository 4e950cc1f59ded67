/** Builders of hostile requests to v1. */
import { table } from "../../../routes/v1/table.ts";
import type { Kind } from "../../support/people.ts";
import type { RawRequest } from "../../support/raw_http.ts";

export interface Attack {
  /** Number in the list of attacks. */
  number: number;
  what: string;
  requests: (RawRequest & { caller?: Kind })[];
  /** Permitted statuses of each request. */
  statuses: number[];
}

export type AttackRequest = Attack["requests"][number];

/** Creates an {@link Attack}. */
export const attack = (
  number: number,
  what: string,
  statuses: number[],
  requests: AttackRequest[],
): Attack => ({
  number,
  what,
  statuses,
  requests,
});
export type Headers = [name: string, value: string][];

export const json: Headers = [["Content-Type", "application/json"]];
export const urlencoded: Headers = [["Content-Type", "application/x-www-form-urlencoded"]];
export const unknownId = "00000000-0000-4000-8000-00000000dead";

/** All routes, with an unknown id. */
export const routes = table.map(({ methods, path, access, reads }) => ({
  method: methods[0]!,
  path: path.replace("{id}", unknownId),
  isPublic: access === "anyone",
  body: reads ? "{}" : null,
}));
export const closed = routes.filter(({ isPublic }) => !isPublic);
export const onClosed = (headers: Headers): AttackRequest[] =>
  closed.map(({ method, path, body }) => ({ method, path, body, headers: [...headers, ...json] }));
export const onAll = (headers: Headers): AttackRequest[] =>
  routes.map(({ method, path }) => ({ method, path, headers, body: null, caller: "guest" }));

export const read = (path: string, caller: Kind = "user"): AttackRequest => ({
  method: "GET",
  path: `/api/v1${path}`,
  caller,
});
export const post = (
  path: string,
  body: string | Uint8Array,
  headers: Headers = json,
  caller: Kind = "admin",
): AttackRequest => ({
  method: "POST",
  path: `/api/v1${path}`,
  body,
  headers,
  caller,
});
/** Sends a body to each route that reads JSON. */
export const toBodies = (body: string | Uint8Array): AttackRequest[] => [
  post("/tasks", body),
  post("/users/", body),
  { ...post(`/users/${unknownId}`, body), method: "PUT" },
];
export const form = (body: string, headers = urlencoded): AttackRequest => ({
  method: "POST",
  path: "/api/v1/auth/login",
  headers,
  body,
});
export const queries = (path: string, name: string, values: string[]): AttackRequest[] =>
  values.map((value) => read(`${path}?${name}=${encodeURIComponent(value)}`, "admin"));

interface TaskJson {
  name?: string;
  tags?: string;
  variables?: string;
  settings?: string;
}
export const fixed = '{"id":"1","type":"prompt","value":"x"}';
export const task = (
  { name = '"t"', tags = `[${fixed}]`, variables = "{}", settings = "{}" }: TaskJson,
): AttackRequest =>
  post(
    "/tasks",
    `{"task_name":${name},"username":"","tags":${tags},"variables":${variables},"settings":${settings}}`,
  );

export const repeat = (count: number, write: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => write(i)).join();
export const values = (count: number) =>
  `{"name":"a","values":[${repeat(count, (i) => `{"value":"${i}"}`)}]}`;
export const multipart = (parts: string[]): AttackRequest =>
  form(parts.map((part) => `--x\r\nContent-Disposition: form-data; ${part}\r\n`).join("") + "--x--\r\n", [
    ["Content-Type", "multipart/form-data; boundary=x"],
  ]);
export const encodeTokenPart = (claims: unknown) => btoa(JSON.stringify(claims)).replaceAll("=", "");
