/** Definitions of routes: one each for the router, the OpenAPI document and the authorization tests. */
import { createRoute, type RouteConfig, z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { codes, type ErrorCode } from "../../../errors.ts";
import { admitChange, authorize, passGate } from "./authorize.ts";
import { bodyBytesMax, readJsonBody, unauthenticatedBytesMax } from "./body.ts";
import type { Access, V2App, V2Env } from "./context.ts";
import { problemRef } from "./problem.ts";

/** Path of all routes of v2. */
export const basePath = "/api/v2";

/** A cell number in a path. */
export const cellNumberPattern = /^(0|[1-9][0-9]{0,4})$/;

/** An Idempotency-Key: visible ASCII characters. */
export const idempotencyKeyPattern = /^[\x21-\x7e]{1,255}$/;

type Spec = Omit<RouteConfig, "middleware" | "security" | "hide"> & {
  access: Access;
  summary: string;
  tags: [string];
  /** `in_handler`: the handler calls `withGate` itself, because only a part of its work uses the database. */
  gate?: "in_handler";
  /** `respondOnce` creates the response, so that the route takes an Idempotency-Key. */
  once?: true;
  /**
   * The route changes users or tasks, which the old backend is in charge of until the switch. It is refused before, and
   * waits during the switch.
   */
  changesDocuments?: true;
  /** Leaves the route out of the OpenAPI document. */
  hidden?: true;
  /** Codes of errors, besides those of every route of its kind. */
  problems?: ErrorCode[];
};

/** A route that `defineRoute` returned, as the app keeps it. */
type DefinedRoute = RouteConfig & { "x-who": Access; "x-hidden"?: true };

export interface RouteEntry {
  method: string;
  path: string;
  access: Access;
  /** Whether the OpenAPI document leaves the route out. */
  hidden: boolean;
}

/** Returns the routes of an app with their access rules, in the order in which they were added. */
export const listRoutes = (
  { openAPIRegistry: { definitions } }: Pick<V2App, "openAPIRegistry">,
): RouteEntry[] =>
  definitions.flatMap((definition): RouteEntry[] => {
    if (definition.type !== "route") return [];
    const { method, path, "x-who": access, "x-hidden": hidden = false } = definition.route as DefinedRoute;
    return [{ method: method.toUpperCase(), path, access, hidden }];
  });

/** The header Idempotency-Key in the OpenAPI document. */
const idempotencyKey = {
  name: "Idempotency-Key",
  in: "header",
  description: "A repeated request with the same key does its work once and gets the same response",
  schema: { type: "string", pattern: idempotencyKeyPattern.source },
};

function problemResponses(spec: Spec): RouteConfig["responses"] {
  const problems: ErrorCode[] = ["busy", "too_many_requests", "invalid_request"];
  if (spec.access !== "anyone") problems.push("unauthenticated", "forbidden");
  if (spec.request?.body) problems.push("invalid_json", "too_large", "unsupported_media", "too_slow");
  if (spec.path.includes("{")) problems.push("not_found");
  if (spec.changesDocuments) problems.push("before_cutover");
  problems.push(...(spec.problems ?? []));
  return Object.fromEntries(problems.map((code) => [codes[code].status, problemRef(code)]));
}

/**
 * Defines a route. `responses` lists its successes; errors are thrown as AppErrors, and documented here.
 *
 * The principal is checked before the request is validated, so that the errors of validation reveal nothing to others.
 */
export function defineRoute<const P extends string, const R extends Omit<Spec, "path"> & { path: P }>(
  spec: R,
) {
  const { access, gate, once, changesDocuments, problems: _, hidden = false, ...config } = spec;
  const { path } = spec;
  const middleware: MiddlewareHandler<V2Env>[] = [authorize(access, path)];
  if (changesDocuments) middleware.push(admitChange);
  if (spec.request?.body) {
    middleware.push(readJsonBody(access === "anyone" ? unauthenticatedBytesMax : bodyBytesMax));
  }
  if (access !== "anyone" && gate !== "in_handler") middleware.push(passGate);
  return createRoute(
    {
      ...config,
      ...(access === "anyone" ? {} : { security: [{ bearer: [] }] }),
      "x-who": access,
      ...(hidden ? { "x-hidden": true } : {}),
      ...(once ? { parameters: [idempotencyKey] } : {}),
      middleware,
      responses: { ...problemResponses(spec), ...spec.responses },
    } as unknown as R & { middleware: MiddlewareHandler<V2Env>[] },
  );
}

/** Describes a required JSON body. */
export const jsonBody = <S extends z.ZodType>(schema: S) => ({
  required: true as const,
  content: { "application/json": { schema } },
});

/** Describes a JSON response. */
export const jsonResponse = <S extends z.ZodType>(schema: S, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

/** `{id}` of a task. A text that is not a UUID is not found, like an unknown id. */
export const taskParams = z.object({
  id: z.string().openapi({
    param: { name: "id", in: "path" },
    format: "uuid",
    description: "Id of the task",
  }),
});

/** A task and one of its cells. */
export const cellParams = taskParams.extend({
  cell: z.string().openapi({
    param: { name: "cell", in: "path" },
    pattern: cellNumberPattern.source,
    description: "Number of the cell in the matrix, row-major from 0",
  }),
});

/** A time in JSON. */
export const time = z.iso.datetime().openapi({ example: "2025-05-13T07:40:46.622Z" });
