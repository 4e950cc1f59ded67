/** v2: RFC 9457 problems, cursor pages, one table of routes from which documents and tests are made. */
import { OpenAPIHono } from "@hono/zod-openapi";
import { cors } from "hono/cors";
import { requestId } from "hono/request-id";
import { AppError } from "../../errors.ts";
import { addAgreement } from "./agreement.ts";
import { addAuth } from "./auth.ts";
import { addCompare } from "./compare.ts";
import { addBirths } from "./births.ts";
import type { V2App, V2Deps, V2Env } from "./context.ts";
import { addControl } from "./control.ts";
import { addDocs } from "./docs.ts";
import { addEvaluations } from "./evaluations.ts";
import { addEvents } from "./events.ts";
import { addMarks } from "./marks.ts";
import { answerProblem, HttpFailure, invalidRequest } from "./problem.ts";
import { addRatings } from "./ratings.ts";
import { routeTable } from "./route.ts";
import { addShares } from "./shares.ts";
import { addTasks } from "./tasks.ts";
import { addStats } from "./stats.ts";

/** The rooms of v2, each with its routes. */
const rooms: ((app: V2App) => void)[] = [
  addAuth,
  addRatings,
  addShares,
  addEvaluations,
  addEvents,
  addMarks,
  addStats,
  addAgreement,
  addCompare,
  addTasks,
  addBirths,
  addControl,
  addDocs,
];

export const v2Base = "/api/v2";

const exposed = ["ETag", "Location", "Link", "RateLimit", "RateLimit-Policy", "Retry-After", "X-Request-Id"];

function answerUnknown(method: string, path: string): never {
  const inside = path.slice(v2Base.length);
  const methods = routeTable()
    .filter(({ path: known }) => new RegExp(`^${known.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`).test(inside))
    .map((route) => route.method);
  if (methods.length === 0) throw new AppError("not_found", `${method} ${path.slice(0, 200)}: no such path`);
  const allow = [...new Set(methods)].join(", ");
  throw new HttpFailure("method_not_allowed", `${method} ${path.slice(0, 200)}: wanted ${allow}`, { allow });
}

/** Builds the app of v2; nothing is opened until the first request needs it. */
export function createV2App(deps: V2Deps): V2App {
  const app: V2App = new OpenAPIHono<V2Env>({
    async defaultHook(result, c) {
      if (result.success) return;
      const { target, error: { issues } } = result;
      const given = target === "json"
        ? await c.req.json()
        : target === "query"
        ? c.req.query()
        : c.req.param();
      throw invalidRequest(target, given, issues);
    },
  }).basePath(v2Base);
  app.onError((error, c) => answerProblem(c, error));
  app.notFound((c) => {
    try {
      return answerUnknown(c.req.method, c.req.path);
    } catch (error) {
      return answerProblem(c, error);
    }
  });
  app.use(requestId());
  app.use(async (c, next) => {
    c.set("deps", deps);
    await next();
    c.header("cache-control", c.res.headers.get("cache-control") ?? "private, no-cache");
    c.header("x-content-type-options", "nosniff");
  });
  app.use(cors({ origin: deps.config.CORS_ORIGINS, exposeHeaders: exposed, maxAge: 600 }));
  for (const add of rooms) add(app);
  return app;
}

/** The answer and the route that gave it, its path in the table. */
export type RouteV2 = (request: Request, address: string) => Promise<{ response: Response; route: string }>;

/** v2 for the API's process. */
export function createV2(deps: V2Deps): RouteV2 {
  const app = createV2App(deps);
  return async (request, address) => {
    const routed = { route: "(none)" };
    const response = await app.fetch(request, { address, routed });
    return { response, route: routed.route === "(none)" ? routed.route : v2Base + routed.route };
  };
}
