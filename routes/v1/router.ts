/**
 * Routes the requests of v1. It checks preflight, path, method, body, token and role, and calls the handler,
 * in that order.
 */
import { cancelOnAbort } from "../../db/pg/cancel_on_abort.ts";
import { AppError, describeValue } from "../../errors.ts";
import { isPassingForClient } from "../../passing.ts";
import { authorize, getActiveUser, readTokenPayload } from "./authenticate.ts";
import { parseBody, readBytes, unauthenticatedBytesMax } from "./body.ts";
import type { Call, V1Deps } from "./call.ts";
import { addCors, respondToPreflight } from "../common/cors.ts";
import { readForm } from "./form.ts";
import type { TokenPayload } from "../common/tokens.ts";
import { parseQuery, splitTarget, unquote } from "./query.ts";
import { faultToJson, HttpError, ValidationError } from "./http_error.ts";
import { type Route, table } from "./table.ts";

/** A response with the route that produced it. */
export interface Routed {
  response: Response;
  /** The route's path in the table, or a name in parentheses if no route matched. */
  route: string;
  /** Id of the user whose token was verified. */
  caller?: string | undefined;
}

const unrouted = "(none)";

interface Candidate {
  route: Route;
  pattern: RegExp;
}

const candidates: Candidate[] = table.map((route) => ({
  route,
  // The old backend's patterns accept a line feed at the end of a path.
  pattern: new RegExp(`^${route.path.replace("{id}", "([^/]+)")}\\n?$`),
}));

function matchExactly(path: string): { route: Route; id: string }[] {
  return candidates.flatMap(({ route, pattern }) => {
    const match = pattern.exec(path);
    return match ? [{ route, id: match[1] ?? "" }] : [];
  });
}

/** Matches of the paths without `{id}`, for a lookup by path. */
const fixedPaths = new Map(
  table.filter(({ path }) => !path.includes("{id}")).map(({ path }) => [path, matchExactly(path)]),
);

/**
 * Returns the routes of a path in the table's order. A path without a route is tried with or without its last
 * slash.
 */
function matchPath(path: string): { route: Route; id: string }[] {
  const found = fixedPaths.get(path) ?? matchExactly(path);
  if (found.length > 0 || path === "/") return found;
  return matchExactly(path.endsWith("/") ? path.replace(/\/+$/, "") : `${path}/`);
}

/** Stands for an encoded slash while a path is matched. unquote() never returns it. */
const slashMark = "\ud800";

/**
 * Returns the routes of a path that the old backend did not know, because it decoded `%2F` before it matched. Here
 * the slash belongs to the id, so that v1 serves documents whose id contains one. Any other path stays unknown.
 */
function matchEncodedSlash(path: string, method: string): { route: Route; id: string }[] {
  return matchPath(path.split(/%2f/i).map(unquote).join(slashMark))
    .filter(({ route }) => route.methods.includes(method))
    .map(({ route, id }) => ({ route, id: id.replaceAll(slashMark, "/") }));
}

/** Discards a response that must not be sent, and cancels its body. */
function discard(responding: Promise<Response>): void {
  responding.then((response) => response.body?.cancel()).catch(() => {});
}

async function callRoute(deps: V1Deps, route: Route, call: Call): Promise<Response> {
  const { request } = call;
  if (route.reads === "json") {
    const bytes = await readBytes(request, deps.bodyMsMax, route.bodyBytesMax);
    // FastAPI reports faults of the body before those of the token. Large bodies are parsed only for valid
    // tokens.
    if (bytes.length > unauthenticatedBytesMax) await readTokenPayload(deps, request);
    call.body = parseBody(bytes, request.headers.get("content-type"));
  }
  if (route.reads === "form") call.form = await readForm(request, deps.bodyMsMax);
  if (route.access === "anyone") return await route.handle(call);
  const isPublic = route.access === "reader" && deps.config.PUBLIC_TASK_READS;
  const payload = isPublic ? undefined : await readTokenPayload(deps, request);
  if (payload) call.caller = payload.sub;
  return await deps.gate.run(request, () => callWithDatabase(deps, route, call, payload));
}

async function callWithDatabase(
  deps: V1Deps,
  route: Route,
  call: Call,
  payload: TokenPayload | undefined,
): Promise<Response> {
  if (route.access === "reader" || route.access === "signed_in_read") {
    // The statements are cancelled when the client disconnects.
    const sql = cancelOnAbort(deps.sql, call.request.signal);
    const responding = Promise.resolve(route.handle({ ...call, deps: { ...deps, sql } }));
    if (!payload) return await responding;
    // All users read the same rows, so the handler runs while the user is looked up. This catch prevents an
    // unhandled rejection if the handler fails first.
    responding.catch(() => {});
    try {
      await getActiveUser(deps, payload);
    } catch (error) {
      discard(responding);
      throw error;
    }
    return await responding;
  }
  const user = await getActiveUser(deps, payload!);
  authorize(user, route.access);
  return await route.handle({ ...call, user });
}

const jsonHeaders = { "content-type": "application/json" };

function respondHttpError({ status, message, headers }: HttpError): Response {
  const body = JSON.stringify({ detail: message });
  return new Response(body, { status, headers: { ...jsonHeaders, ...headers } });
}

/** Returns the response to faults that the handler finds after validation: a `value_error` for each field. */
function respondFieldFaults({ message, fields }: AppError): Response {
  return respondValidationError(
    new ValidationError(fields.map(({ field, value, wanted }) => ({
      type: "value_error",
      loc: ["body", ...field.split(".")],
      msg: `Value error, ${message}; wanted ${wanted}`,
      input: value === undefined ? null : describeValue(value),
      ctx: new Map([["error", new Map()]]),
    }))),
  );
}

function respondValidationError({ faults }: ValidationError): Response {
  const body = `{"detail":[${faults.map(faultToJson).join(",")}]}`;
  return new Response(body, { status: 422, headers: jsonHeaders });
}

/**
 * Returns the response to an error. Unknown errors are logged with their cause, and the response does not
 * reveal it.
 */
function respondError({ log }: V1Deps, error: unknown): Response {
  if (error instanceof HttpError) return respondHttpError(error);
  if (error instanceof ValidationError) return respondValidationError(error);
  if (error instanceof AppError && error.code === "invalid_request") return respondFieldFaults(error);
  const isBusy = error instanceof AppError && error.status === 503 ||
    isPassingForClient(error);
  log.error(isBusy ? "request rejected: temporarily unavailable" : "request failed", {}, error);
  if (isBusy) return respondHttpError(new HttpError(503, "Service Unavailable", { "retry-after": "1" }));
  return new Response("Internal Server Error", {
    status: 500,
    headers: { "content-type": "text/plain; charset=utf-8" },
  });
}

const notFound = () => new HttpError(404, "Not Found");
const clientClosedRequest = () => new HttpError(499, "Client Closed Request");

/**
 * Returns the error for a path that only matches with an encoded slash. Unless the id is found, the path is unknown: a
 * token, a role or a body is not asked for. Only the owner's check comes after the id was found.
 */
function hideRoute(error: unknown, { access }: Route): unknown {
  if (error instanceof ValidationError) return notFound();
  if (!(error instanceof HttpError)) return error;
  const isHidden = [401, 404].includes(error.status) || error.status === 403 && access !== "owner";
  return isHidden ? notFound() : error;
}

async function handleRequest(deps: V1Deps, request: Request, address: string): Promise<Routed> {
  const { path, query } = splitTarget(request);
  const known = matchPath(unquote(path));
  const isEncoded = known.length === 0 && /%2f/i.test(path);
  const matches = isEncoded ? matchEncodedSlash(path, request.method) : known;
  const first = matches[0];
  if (!first) return { response: respondHttpError(notFound()), route: unrouted };
  const found = matches.find(({ route }) => route.methods.includes(request.method));
  if (!found) {
    const allow = { allow: first.route.methods.join(", ") };
    const notAllowed = new HttpError(405, "Method Not Allowed", allow);
    return { response: respondHttpError(notAllowed), route: first.route.path };
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
    const response = await callRoute(deps, route, call);
    return { response, route: route.path, caller: call.caller };
  } catch (error) {
    // A client that has disconnected receives no response. Status 499 is only counted and logged, as nginx
    // does.
    const response = request.signal.aborted
      ? respondHttpError(clientClosedRequest())
      : respondError(deps, isEncoded ? hideRoute(error, route) : error);
    return { response, route: route.path, caller: call.caller };
  }
}

/**
 * Handles a request of v1 or of an unknown path.
 *
 * @param address the client's network, which the login throttle counts by
 */
export async function routeV1(deps: V1Deps, request: Request, address: string): Promise<Routed> {
  const origins = deps.config.CORS_ORIGINS;
  const preflight = respondToPreflight(request, origins);
  if (preflight) return { response: preflight, route: "(preflight)" };
  const routed = await handleRequest(deps, request, address);
  addCors(request, routed.response.headers, origins);
  return routed;
}
