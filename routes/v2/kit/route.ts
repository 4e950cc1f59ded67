/** How a route of v2 is said: once, for the router, the documents and the authorisation tests. */
import { createRoute, type RouteConfig, z } from "@hono/zod-openapi";
import type { MiddlewareHandler } from "hono";
import { codes, type ErrorCode } from "../../../errors.ts";
import { admit, takeRoom } from "./admit.ts";
import { bodyBytesMax, readJsonBody, strangerBytesMax } from "./body.ts";
import type { V2Env, Who } from "./context.ts";
import { problemSchema } from "./problem.ts";

type Spec = Omit<RouteConfig, "middleware" | "security"> & {
  who: Who;
  summary: string;
  tags: [string];
  /** `own`: the handler takes room at the database itself, by `withRoom`, as it does other work beside. */
  room?: "own";
  /** Codes of failures beside those that every route of its kind may end with. */
  problems?: ErrorCode[];
};

/** Every route that was defined, in order. */
const defined: { method: string; path: string; who: Who }[] = [];

/** The table of routes and who may call them. */
export const routeTable = (): readonly { method: string; path: string; who: Who }[] => defined;

const problemBody = { "application/problem+json": { schema: problemSchema } };

function problemResponses(spec: Spec): RouteConfig["responses"] {
  const usual: ErrorCode[] = ["busy", "too_many_requests", "invalid_request"];
  if (spec.who !== "anyone") usual.push("unauthenticated", "forbidden");
  if (spec.request?.body) usual.push("invalid_json", "too_large", "unsupported_media", "too_slow");
  if (spec.path.includes("{")) usual.push("not_found");
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set([...usual, ...(spec.problems ?? [])])) {
    const { status } = codes[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...byStatus].map(([status, names]) => [status, { description: names.join(", "), content: problemBody }]),
  );
}

/**
 * Defines a route. Its answers' schemas are those of success; failures are thrown as AppErrors and documented here.
 *
 * Who asks is looked up before anything of the request is validated, so that nobody learns of a schema by guessing.
 */
export function defineRoute<const P extends string, const R extends Omit<Spec, "path"> & { path: P }>(
  spec: R,
) {
  const { who, room, problems: _, ...config } = spec;
  defined.push({ method: spec.method.toUpperCase(), path: spec.path, who });
  const middleware: MiddlewareHandler<V2Env>[] = [admit(who, spec.path)];
  if (spec.request?.body) middleware.push(readJsonBody(who === "anyone" ? strangerBytesMax : bodyBytesMax));
  if (who !== "anyone" && room !== "own") middleware.push(takeRoom);
  return createRoute(
    {
      ...config,
      ...(who === "anyone" ? {} : { security: [{ bearer: [] }] }),
      "x-who": who,
      middleware,
      responses: { ...problemResponses(spec), ...spec.responses },
    } as unknown as R & { middleware: MiddlewareHandler<V2Env>[] },
  );
}

/** A body that must be there, as JSON. */
export const jsonBody = <S extends z.ZodType>(schema: S) => ({
  required: true as const,
  content: { "application/json": { schema } },
});

/** An answer as JSON. */
export const jsonAnswer = <S extends z.ZodType>(schema: S, description: string) => ({
  description,
  content: { "application/json": { schema } },
});

/** `{id}` of a task: what is no UUID is not found, as anything else that is not there. */
export const taskParams = z.object({
  id: z.string().openapi({ param: { name: "id", in: "path" }, format: "uuid", description: "Of the task" }),
});

/** A task and the place of a cell in it, row-major from 0. */
export const cellParams = taskParams.extend({
  cell: z.string().openapi({
    param: { name: "cell", in: "path" },
    pattern: "^(0|[1-9][0-9]{0,4})$",
    description: "Place of the cell in the matrix, row-major from 0",
  }),
});

/** A time as JSON has it. */
export const time = z.iso.datetime().openapi({ example: "2025-05-13T07:40:46.622Z" });
