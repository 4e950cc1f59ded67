/** v2: RFC 9457 problems, cursor pages, one table of routes from which documents and tests are made. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { requestId } from "hono/request-id";
import { AppError } from "../../errors.ts";
import { addAgreement } from "./stats/agreement.ts";
import { addAuth } from "./people/auth.ts";
import { addBirths } from "./tasks/births.ts";
import { addCells } from "./cells/cells.ts";
import { addCompare } from "./stats/compare.ts";
import type { V2App, V2Deps, V2Env } from "./kit/context.ts";
import { addControl } from "./tasks/control.ts";
import { addDocs } from "./docs.ts";
import { addEvaluations } from "./judging/evaluations.ts";
import { addEvents } from "./live/events.ts";
import { addExport } from "./cells/export.ts";
import { addMarks } from "./judging/marks.ts";
import { addPlan } from "./tasks/plan.ts";
import { addPlanes } from "./cells/planes.ts";
import { answerProblem, HttpFailure, invalidRequest, refuseFields } from "./kit/problem.ts";
import { addRatingQueue } from "./judging/rating_queue.ts";
import { addRatings } from "./judging/ratings.ts";
import { routeTable } from "./kit/route.ts";
import { addSessions } from "./people/sessions.ts";
import { addShares } from "./people/shares.ts";
import { addSlices } from "./cells/slices.ts";
import { addStats } from "./stats/stats.ts";
import { findUnstorableQuery } from "./kit/storable.ts";
import { addSystem } from "./system.ts";
import { addTasks } from "./tasks/tasks.ts";
import { addUsers } from "./people/users.ts";
import { addVotes } from "./judging/votes.ts";
import { addWebhooks } from "./live/webhooks.ts";

/** The rooms of v2, each with its routes. */
const rooms: ((app: V2App) => void)[] = [
  addAuth,
  addSessions,
  addUsers,
  addRatings,
  addShares,
  addEvaluations,
  addEvents,
  addMarks,
  addStats,
  addAgreement,
  addCompare,
  addTasks,
  addPlan,
  addBirths,
  addControl,
  addCells,
  addSlices,
  addPlanes,
  addExport,
  addRatingQueue,
  addVotes,
  addWebhooks,
  addSystem,
  addDocs,
];

export const v2Base = "/api/v2";

const exposed = [
  ...["ETag", "Idempotent-Replay", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After"],
  ...["X-Cells", "X-Delta", "X-Request-Id", "X-Revision"],
];
const allowed = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];

/** What may be done with a path; nothing where there is none. */
function methodsOf(path: string): string[] {
  const inside = path.slice(v2Base.length);
  const methods = routeTable()
    .filter(({ path: known }) => new RegExp(`^${known.replaceAll(/\{[^}]+\}/g, "[^/]+")}$`).test(inside))
    .flatMap(({ method }) => method === "GET" ? ["GET", "HEAD"] : [method]);
  return methods.length === 0 ? [] : [...allowed.filter((method) => methods.includes(method)), "OPTIONS"];
}

const shownPath = (method: string, path: string): string => `${method.slice(0, 20)} ${path.slice(0, 200)}`;

function refuseUnknown({ req: { method, path } }: Context<V2Env>): AppError {
  const methods = methodsOf(path);
  if (methods.length === 0) return new AppError("not_found", `${shownPath(method, path)}: no such path`);
  const allow = methods.join(", ");
  return new HttpFailure("method_not_allowed", `${shownPath(method, path)}: wanted ${allow}`, { allow });
}

/** NUL is in no name of ours, and PostgreSQL takes it in no text. */
const checkUrl: MiddlewareHandler<V2Env> = async (c, next) => {
  if (c.req.url.includes("%00")) {
    const faults = findUnstorableQuery(c.req.queries());
    if (faults.length > 0) throw refuseFields("query", c.req.query(), faults);
    throw new AppError("not_found", `${shownPath(c.req.method, c.req.path)}: no such path`);
  }
  await next();
};

/** OPTIONS that asks for no leave of another origin: what may be done here. */
const answerOptions: MiddlewareHandler<V2Env> = async (c, next) => {
  const isPreflight = c.req.header("access-control-request-method") !== undefined;
  if (c.req.method !== "OPTIONS" || isPreflight) return await next();
  const methods = methodsOf(c.req.path);
  if (methods.length === 0) throw refuseUnknown(c);
  return c.body(null, 204, { allow: methods.join(", ") });
};

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
  app.notFound((c) => answerProblem(c, refuseUnknown(c)));
  app.use(requestId());
  app.use(async (c, next) => {
    c.set("deps", deps);
    await next();
    c.header("cache-control", c.res.headers.get("cache-control") ?? "private, no-cache");
    c.header("x-content-type-options", "nosniff");
  });
  const { CORS_ORIGINS: origins } = deps.config;
  const origin = origins.includes("*") ? "*" : origins;
  app.use(answerOptions);
  app.use(cors({ origin, allowMethods: allowed, exposeHeaders: exposed, maxAge: 600 }));
  app.use(checkUrl);
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
