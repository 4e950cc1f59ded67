/** The app of v2: its routes, middleware and error responses. */
import { OpenAPIHono } from "@hono/zod-openapi";
import type { Context, MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { requestId } from "hono/request-id";
import type { Pool } from "../../db/pg/connect.ts";
import { AppError } from "../../errors.ts";
import { addAgreement } from "./stats/agreement.ts";
import { addAuth } from "./people/auth.ts";
import { addBrowserSessions } from "./people/browser_sessions.ts";
import { addTaskCreation } from "./tasks/creation.ts";
import { addCells } from "./cells/cells.ts";
import { addCompare } from "./stats/compare.ts";
import { createAccessTokens } from "./kit/access_tokens.ts";
import type { V2App, V2Deps, V2Env, V2Options } from "./kit/context.ts";
import { addControl } from "./tasks/control.ts";
import { addDocs } from "./docs.ts";
import { addEvaluations } from "./judging/evaluations.ts";
import { addEvents } from "./live/events.ts";
import { addExport } from "./cells/export.ts";
import { addMarks } from "./judging/marks.ts";
import { createLayouts, type Layouts } from "./tasks/layout.ts";
import { addPlan } from "./tasks/plan.ts";
import { addPlanes } from "./cells/planes.ts";
import { invalidRequest, invalidValues } from "./kit/faults.ts";
import { HttpError, registerProblems, respondProblem } from "./kit/problem.ts";
import { allMethods, createPathTable, type FindMethods } from "./kit/path_table.ts";
import { createRateLimits } from "./kit/rate_limit.ts";
import { createSecrets } from "./kit/secrets.ts";
import { addRatingQueue } from "./judging/rating_queue.ts";
import { addRatings } from "./judging/ratings.ts";
import { basePath, listRoutes } from "./kit/route.ts";
import { addSessions } from "./people/sessions.ts";
import { addShares } from "./people/shares.ts";
import { addSlices } from "./cells/slices.ts";
import { DatasetCache } from "./stats/dataset_cache.ts";
import { addStats } from "./stats/stats.ts";
import { findUnstorableQuery } from "./kit/storable.ts";
import { addSystem } from "./system.ts";
import { addDeadLetters } from "./system_dead_letters.ts";
import { addDoctor } from "./system_doctor.ts";
import { addQueues } from "./system_queues.ts";
import { addSystemWebhooks } from "./system_webhooks.ts";
import { addTraffic } from "./system_traffic.ts";
import { addMigration } from "./system_migration.ts";
import { addTasks } from "./tasks/tasks.ts";
import { addUsers } from "./people/users.ts";
import { addUserSessions } from "./people/user_sessions.ts";
import { addVotes } from "./judging/votes.ts";
import { useWantedTexts } from "./kit/wanted.ts";
import { addWebhooks } from "./live/webhooks.ts";

/** Dependencies of the routes, with the caches that only some of them use. */
type RouteDeps = V2Deps & { layouts: Layouts; datasets: DatasetCache };

/** Adds the routes of one resource. State that only these routes use is created here. */
type AddRoutes = (app: V2App, deps: RouteDeps) => void;

const resources: AddRoutes[] = [
  addAuth,
  addBrowserSessions,
  addSessions,
  addUsers,
  addUserSessions,
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
  addTaskCreation,
  addControl,
  addCells,
  addSlices,
  addPlanes,
  addExport,
  addRatingQueue,
  addVotes,
  addWebhooks,
  addSystem,
  addQueues,
  addDeadLetters,
  addDoctor,
  addSystemWebhooks,
  addTraffic,
  addMigration,
  addDocs,
];

/** Response headers that scripts of other origins may read. */
const exposedHeaders = [
  ...["ETag", "Idempotent-Replay", "Link", "Location", "RateLimit", "RateLimit-Policy", "Retry-After"],
  ...["X-Cells", "X-Delta", "X-Request-Id", "X-Revision"],
];

const shownPath = (method: string, path: string): string => `${method.slice(0, 20)} ${path.slice(0, 200)}`;

/** Returns the error for a path without a route. */
const unknownPath = ({ req: { method, path } }: Context<V2Env>): AppError =>
  new AppError("not_found", `${shownPath(method, path)}: no such path`);

/** Returns the methods of the request's path. @throws AppError not_found */
function getMethods(c: Context<V2Env>, findMethods: FindMethods): readonly string[] {
  // No name contains NUL, and PostgreSQL cannot store it.
  const hasNul = /^[^?#]*%00/.test(c.req.url);
  const methods = hasNul ? [] : findMethods(c.req.path);
  if (methods.length === 0) throw unknownPath(c);
  return methods;
}

/** Responds to OPTIONS with the methods of the path, unless it is a preflight request. */
const respondToOptions = (findMethods: FindMethods): MiddlewareHandler<V2Env> => async (c, next) => {
  const isPreflight = c.req.header("access-control-request-method") !== undefined;
  if (c.req.method !== "OPTIONS" || isPreflight) return await next();
  return c.body(null, 204, { allow: getMethods(c, findMethods).join(", ") });
};

/** Requires a route with the path and the method of the request. */
const requireRoute = (findMethods: FindMethods): MiddlewareHandler<V2Env> => async (c, next) => {
  const { method, path } = c.req;
  const methods = getMethods(c, findMethods);
  if (!methods.includes(method)) {
    const allow = methods.join(", ");
    throw new HttpError("method_not_allowed", `${shownPath(method, path)}: wanted ${allow}`, { allow });
  }
  await next();
};

/** Rejects NUL in the query, which PostgreSQL cannot store. */
const rejectNul: MiddlewareHandler<V2Env> = async (c, next) => {
  if (c.req.url.includes("%00")) {
    const faults = findUnstorableQuery(new URL(c.req.url).searchParams);
    if (faults.length > 0) throw invalidValues("query", {}, faults);
  }
  await next();
};

/** Creates the app of v2. It opens no connection until the first request needs one. */
export function createV2App(options: V2Options): V2App {
  const { SECRET_KEY: secret, CORS_ORIGINS: origins, RATE_LIMIT: perSecond } = options.config;
  const deps: RouteDeps = {
    ...options,
    accessTokens: createAccessTokens(secret),
    secrets: createSecrets(secret),
    rateLimits: createRateLimits(perSecond),
    datasets: new DatasetCache(),
    layouts: createLayouts(options.sql),
  };
  useWantedTexts();
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
  }).basePath(basePath);
  app.onError((error, c) => respondProblem(c, error));
  app.notFound((c) => respondProblem(c, unknownPath(c)));
  app.use(requestId());
  app.use(async (c, next) => {
    c.set("deps", c.env.sql ? { ...deps, sql: c.env.sql } : deps);
    await next();
    c.header("cache-control", c.res.headers.get("cache-control") ?? "private, no-cache");
    c.header("x-content-type-options", "nosniff");
  });
  const origin = origins.includes("*") ? "*" : origins;
  let findKnownMethods: FindMethods | undefined;
  // The routes are added below, before the first request.
  const findMethods: FindMethods = (path) => (findKnownMethods ??= createPathTable(listRoutes(app)))(path);
  app.use(respondToOptions(findMethods));
  app.use(cors({ origin, allowMethods: allMethods, exposeHeaders: exposedHeaders, maxAge: 600 }));
  app.use(requireRoute(findMethods));
  app.use(rejectNul);
  registerProblems(app);
  for (const addRoutes of resources) addRoutes(app, deps);
  return app;
}

/** A response, the path of its route in the table for logs and metrics, and the id of the user or share. */
interface RoutedV2 {
  response: Response;
  route: string;
  caller?: string | undefined;
}

/** Handles a request of v2. */
export type HandleV2 = (request: Request, address: string, sql?: Pool) => Promise<RoutedV2>;

export function createV2(options: V2Options): HandleV2 {
  const app = createV2App(options);
  return async (request, address, sql) => {
    const routed: V2Env["Bindings"]["routed"] = { route: "(none)" };
    const response = await app.fetch(request, { address, routed, sql });
    const { route, caller } = routed;
    return { response, route: route === "(none)" ? route : basePath + route, caller };
  };
}
