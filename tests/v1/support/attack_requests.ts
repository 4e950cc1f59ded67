/** How hostile requests to v1 are written down. */
import { table } from "../../../routes/v1/table.ts";
import type { Kind } from "../../support/people.ts";
import type { RawRequest } from "../../support/raw_http.ts";

export interface Attack {
  /** In the list of attacks. */
  number: number;
  what: string;
  requests: (RawRequest & { who?: Kind })[];
  statuses: number[];
}

export type Sent = Attack["requests"][number];

/** One entry of {@link Attack}. */
export const attack = (number: number, what: string, statuses: number[], requests: Sent[]): Attack => ({
  number,
  what,
  statuses,
  requests,
});
export type Headers = [name: string, value: string][];

export const json: Headers = [["Content-Type", "application/json"]];
export const urlencoded: Headers = [["Content-Type", "application/x-www-form-urlencoded"]];
export const unknownId = "00000000-0000-4000-8000-00000000dead";

/** Every route, with an id that nothing has. */
export const routes = table.map(({ methods, path, who, reads }) => ({
  method: methods[0]!,
  path: path.replace("{id}", unknownId),
  open: who === "anyone",
  body: reads ? "{}" : null,
}));
export const closed = routes.filter(({ open }) => !open);
export const onClosed = (headers: Headers): Sent[] =>
  closed.map(({ method, path, body }) => ({ method, path, body, headers: [...headers, ...json] }));
export const onAll = (headers: Headers): Sent[] =>
  routes.map(({ method, path }) => ({ method, path, headers, body: null, who: "guest" }));

export const read = (path: string, who: Kind = "user"): Sent => ({
  method: "GET",
  path: `/api/v1${path}`,
  who,
});
export const post = (
  path: string,
  body: string | Uint8Array,
  headers: Headers = json,
  who: Kind = "admin",
): Sent => ({
  method: "POST",
  path: `/api/v1${path}`,
  body,
  headers,
  who,
});
/** To each route that reads JSON. */
export const toBodies = (body: string | Uint8Array): Sent[] => [
  post("/tasks", body),
  post("/users/", body),
  { ...post(`/users/${unknownId}`, body), method: "PUT" },
];
export const form = (body: string, headers = urlencoded): Sent => ({
  method: "POST",
  path: "/api/v1/auth/login",
  headers,
  body,
});
export const queries = (path: string, name: string, values: string[]): Sent[] =>
  values.map((value) => read(`${path}?${name}=${encodeURIComponent(value)}`, "admin"));

interface Task {
  name?: string;
  tags?: string;
  variables?: string;
  settings?: string;
}
export const fixed = '{"id":"1","type":"prompt","value":"x"}';
export const task = ({ name = '"t"', tags = `[${fixed}]`, variables = "{}", settings = "{}" }: Task): Sent =>
  post(
    "/tasks",
    `{"task_name":${name},"username":"","tags":${tags},"variables":${variables},"settings":${settings}}`,
  );

export const repeat = (count: number, write: (i: number) => string) =>
  Array.from({ length: count }, (_, i) => write(i)).join();
export const values = (count: number) =>
  `{"name":"a","values":[${repeat(count, (i) => `{"value":"${i}"}`)}]}`;
export const multipart = (parts: string[]): Sent =>
  form(parts.map((part) => `--x\r\nContent-Disposition: form-data; ${part}\r\n`).join("") + "--x--\r\n", [
    ["Content-Type", "multipart/form-data; boundary=x"],
  ]);
export const word = (claims: unknown) => btoa(JSON.stringify(claims)).replaceAll("=", "");
