/** Checks of error responses. */
import assert from "node:assert/strict";
import { codes } from "../../../errors.ts";
import { startApi } from "../../support/api.ts";
import type { RawAnswer } from "../../support/raw_http.ts";
import { addMatrix, addPeople } from "./api.ts";

/** Checks what every problem has in common, and returns its body. */
export function checkProblem(
  { status, headers, text }: Pick<RawAnswer, "status" | "headers" | "text">,
  context: string,
) {
  assert.equal(headers.get("content-type"), "application/problem+json", `${context}: ${status} ${text}`);
  const problem = JSON.parse(text);
  const code = problem.type.replace(/^urn:contactsheet:problem:/, "");
  assert.equal(codes[code as keyof typeof codes].status, status, context);
  assert.equal(problem.status, status, context);
  assert.ok(problem.title.length > 0 && problem.detail.length > 0, context);
  assert.equal(problem.instance, headers.get("x-request-id"), context);
  assert.ok(headers.get("cache-control")?.includes("no-"), context);
  assert.equal(headers.get("x-content-type-options"), "nosniff", context);
  const known = ["type", "title", "status", "detail", "instance", "errors"];
  assert.deepEqual(Object.keys(problem).filter((key) => !known.includes(key)), [], context);
  for (const { field, value, wanted } of problem.errors ?? []) {
    assert.ok(field.length > 0, context);
    assert.match(wanted, /^(?!wanted )(?!Invalid ).*[^ :,]$/, context);
    // A long number is cut.
    if (value !== undefined) assert.doesNotThrow(() => JSON.parse(value.replace(/(\d)…$/, "$1")), context);
  }
  assert.doesNotMatch(problem.detail, /(?<=[ (])(?:''|"")(?=[,.:;)]|$)/, context);
  assert.doesNotMatch(text, /\bat .*\.ts:|node_modules|PostgresError/, context);
  return { ...problem, code } as {
    code: string;
    detail: string;
    errors?: { field: string; value?: string; wanted: string }[];
  };
}

/** Starts the API with people and a task of `user`. `path` is the rating of its first cell. */
export async function startWithTask() {
  const api = await startApi();
  const people = await addPeople(api);
  const task = await addMatrix(api, people.user);
  return {
    api,
    people,
    task,
    path: `/tasks/${task}/cells/0/rating`,
    [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
  };
}
