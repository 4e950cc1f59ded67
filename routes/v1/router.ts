/** v1 from a request to its answer: preflight, path, method, body, token, role, handler, in that order. */
import { untilLeft } from "../../db/pg/leaving.ts";
import { AppError } from "../../errors.ts";
import { authorize, findActiveUser, readClaims } from "./authenticate.ts";
import { parseBody, readBytes, strangerBytesMax } from "./body.ts";
import type { Call, V1Deps } from "./call.ts";
import { addCors, answerPreflight } from "./cors.ts";
import { readForm } from "./form.ts";
import type { Claims } from "../common/tokens.ts";
import { parseQuery, splitTarget, unquote } from "./query.ts";
import { faultToJson, Refusal, Rejection } from "./refusal.ts";
import { type Route, table } from "./table.ts";

/** The answer, and the route that gave it: its path in the table, or what no route is called. */
export interface Routed {
  response: Response;
  route: string;
}

const unrouted = "(none)";

interface Candidate {
  route: Route;
  pattern: RegExp;
}

const candidates: Candidate[] = table.map((route) => ({
  route,
  // A line feed at the end is let through by the old backend's patterns.
  pattern: new RegExp(`^${route.path.replace("{id}", "([^/]+)")}\\n?$`),
}));

function matchExactly(path: string): { route: Route; id: string }[] {
  return candidates.flatMap(({ route, pattern }) => {
    const match = pattern.exec(path);
    return match ? [{ route, id: match[1] ?? "" }] : [];
  });
}

/** What paths without `{id}` match, looked up instead of tried. */
const fixed = new Map(
  table.filter(({ path }) => !path.includes("{id}")).map(({ path }) => [path, matchExactly(path)]),
);

/** The routes of a path, in the table's order; one that has none is looked for with its last slash the other way. */
function matchPath(path: string): { route: Route; id: string }[] {
  const found = fixed.get(path) ?? matchExactly(path);
  if (found.length > 0 || path === "/") return found;
  return matchExactly(path.endsWith("/") ? path.replace(/\/+$/, "") : `${path}/`);
}

/** Drops an answer that must not be given; what it still reads is not read. */
function dropAnswer(answering: Promise<Response>): void {
  answering.then((response) => response.body?.cancel()).catch(() => {});
}

async function callRoute(deps: V1Deps, route: Route, call: Call): Promise<Response> {
  const { request } = call;
  if (route.reads === "json") {
    const bytes = await readBytes(request, deps.bodyMsMax, route.bodyBytesMax);
    // A body's faults come before a token's, but nobody unknown makes the loop parse megabytes.
    if (bytes.length > strangerBytesMax) await readClaims(deps, request);
    call.body = parseBody(bytes, request.headers.get("content-type"));
  }
  if (route.reads === "form") call.form = await readForm(request, deps.bodyMsMax);
  if (route.who === "anyone") return await route.handle(call);
  const isPublic = route.who === "reader" && deps.config.PUBLIC_TASK_READS;
  const claims = isPublic ? undefined : await readClaims(deps, request);
  return await deps.gate.run(request, () => callWithDatabase(deps, route, call, claims));
}

async function callWithDatabase(
  deps: V1Deps,
  route: Route,
  call: Call,
  claims: Claims | undefined,
): Promise<Response> {
  if (route.who === "reader" || route.who === "signed_in_read") {
    // Nobody waits for what a client that has gone was to read.
    const sql = untilLeft(deps.sql, call.request.signal);
    const answering = Promise.resolve(route.handle({ ...call, deps: { ...deps, sql } }));
    if (!claims) return await answering;
    // The same rows for everybody, so they are asked for while the user is still looked up; it may fail before it is
    // waited for.
    answering.catch(() => {});
    try {
      await findActiveUser(deps, claims);
    } catch (error) {
      dropAnswer(answering);
      throw error;
    }
    return await answering;
  }
  const user = await findActiveUser(deps, claims!);
  authorize(user, route.who);
  return await route.handle({ ...call, user });
}

const jsonHeaders = { "content-type": "application/json" };

function refuse({ status, message, headers }: Refusal): Response {
  const body = JSON.stringify({ detail: message });
  return new Response(body, { status, headers: { ...jsonHeaders, ...headers } });
}

/** The form that a fault found behind the model has: a value error of the field that it names. */
function rejectFields({ message, fields }: AppError): Response {
  return reject(
    new Rejection(fields.map(({ field, value, wanted }) => ({
      type: "value_error",
      loc: ["body", ...field.split(".")],
      msg: `Value error, ${message}; wanted ${wanted}`,
      input: value ?? null,
      ctx: new Map([["error", new Map()]]),
    }))),
  );
}

function reject({ faults }: Rejection): Response {
  const body = `{"detail":[${faults.map(faultToJson).join(",")}]}`;
  return new Response(body, { status: 422, headers: jsonHeaders });
}

/** Connection lost, server stopping, out of resources, read-only, deadlock, cancelled: another try may do. */
const passing =
  /^(CONNECT|CONNECTION|E)[A-Z_]+$|^57P0[1-3]$|^53\d{3}$|^25006$|^40P01$|^40001$|^57014$|^55P03$/;

/** What a failure is to the client; one without a name is logged with its cause and answered without. */
function answerFailure({ log }: V1Deps, error: unknown): Response {
  if (error instanceof Refusal) return refuse(error);
  if (error instanceof Rejection) return reject(error);
  if (error instanceof AppError && error.code === "invalid_request") return rejectFields(error);
  const isBusy = error instanceof AppError && error.status === 503 ||
    passing.test(String((error as { code?: unknown })?.code));
  log.error(isBusy ? "request put off" : "request failed", {}, error);
  if (isBusy) return refuse(new Refusal(503, "Service Unavailable", { "retry-after": "1" }));
  return new Response("Internal Server Error", {
    status: 500,
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}

const goneRefusal = () => new Refusal(499, "Client Closed Request");

async function answerRequest(deps: V1Deps, request: Request, address: string): Promise<Routed> {
  const { path, query } = splitTarget(request);
  const matches = matchPath(unquote(path));
  const first = matches[0];
  if (!first) return { response: refuse(new Refusal(404, "Not Found")), route: unrouted };
  const found = matches.find(({ route }) => route.methods.includes(request.method));
  if (!found) {
    const allow = { allow: first.route.methods.join(", ") };
    return { response: refuse(new Refusal(405, "Method Not Allowed", allow)), route: first.route.path };
  }
  const { route, id } = found;
  const call: Call = {
    deps,
    request,
    address,
    id,
    query: parseQuery(query),
    body: null,
    form: new Map(),
  };
  try {
    return { response: await callRoute(deps, route, call), route: route.path };
  } catch (error) {
    // Nobody reads the answer to a client that has gone; it is only counted, as proxies do.
    const left = request.signal.aborted;
    return { response: left ? refuse(goneRefusal()) : answerFailure(deps, error), route: route.path };
  }
}

/**
 * Answers any request that is not another room's: v1 has the last word on paths that nobody knows.
 *
 * @param address of the client, for the throttle
 */
export async function routeV1(deps: V1Deps, request: Request, address: string): Promise<Routed> {
  const origins = deps.config.CORS_ORIGINS;
  const preflight = answerPreflight(request, origins);
  if (preflight) return { response: preflight, route: "(preflight)" };
  const routed = await answerRequest(deps, request, address);
  addCors(request, routed.response.headers, origins);
  return routed;
}
