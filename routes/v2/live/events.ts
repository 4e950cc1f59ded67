/** GET /tasks/{id}/events: server-sent events of a task, resumable after an interruption. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { AppError } from "../../../errors.ts";
import { EventHub, type Subscriber } from "./hub.ts";
import type { V2App, V2Deps, V2Env } from "../kit/context.ts";
import { HttpError } from "../kit/problem.ts";
import { defineRoute, taskParams } from "../kit/route.ts";
import { textSchema } from "../kit/texts.ts";
import { getReadableTask } from "../tasks/task_access.ts";

/** Maximum number of open streams per principal and process. Many people may use the same share. */
const streamsMax = { user: 20, share: 200 };

const eventsQuery = z.object({
  since: textSchema(100, 0).optional().openapi({
    param: { name: "since", in: "query" },
    description: "Revision to resume from, such as that of the planes. Last-Event-ID takes precedence",
  }),
});

const getEvents = defineRoute({
  method: "get",
  path: "/tasks/{id}/events",
  access: "reader",
  tags: ["tasks"],
  summary: "Stream the changes of a task as server-sent events",
  description:
    "`progress`: counts by state and cells per second, at most twice a second. `cells`: changed cells with status, " +
    "version, image, mean and n. `end`: the task has ended; later ratings and re-runs are still sent. `resync`: read the " +
    "planes again; the stream continues from its revision. `bye`: the stream ends (`expired`, `revoked`, `draining`, " +
    "`deleted`). The id of an event is the revision up to which the client is complete. Send it as Last-Event-ID to miss " +
    "nothing.",
  request: { params: taskParams, query: eventsQuery },
  responses: {
    200: {
      description: "Server-sent events",
      content: { "text/event-stream": { schema: z.string() } },
    },
  },
});

const getRunsEvents = defineRoute({
  method: "get",
  path: "/tasks/events",
  access: "signed_in",
  tags: ["tasks"],
  summary: "Stream what happens in all tasks as server-sent events",
  description:
    "`runs`: `{runs, deleted, all}`. Each of `runs` has `id`, `revision`, `status`, `hold`, `cells` by state, `per_minute`, " +
    "`eta`, and `raters`: who rated within ten minutes. The first event, and each after missed ones, has `all` true and every " +
    "open task and the newest ones; later events have those that changed. `bye`: the stream ends, as with a task's events. " +
    "Nothing is replayed; after an interruption, read `GET /tasks` again.",
  responses: {
    200: {
      description: "Server-sent events",
      content: { "text/event-stream": { schema: z.string() } },
    },
  },
});

/** Parses the revision to resume from. */
function parseSince(text: string | undefined): Subscriber["since"] {
  if (text === undefined || text === "") return undefined;
  return /^\d{1,15}$/.test(text) ? Number(text) : "invalid";
}

/** Returns the principal as a subscriber. @param mayChange whether they may change the task */
function toSubscriber(c: Context<V2Env>, mayChange: boolean, since: Subscriber["since"]): Subscriber {
  const { principal } = c.var;
  const { id } = principal;
  if (principal.kind === "share") {
    const hidesRatings = (blind: boolean) => blind || principal.blind;
    return { id, since, hidesRatings, expiresAt: null, credential: { kind: "share", id } };
  }
  const { sessionId, tokenVersion: version, tokenExpiresAtMs: expiresAt } = principal;
  const credential = { kind: "session" as const, id: sessionId, version };
  return { id, since, hidesRatings: (blind) => blind && !mayChange, expiresAt, credential };
}

/** Responds with a stream. @throws AppError busy @throws HttpError too_many_requests */
function respondStream(c: Context<V2Env>, stream: ReturnType<EventHub["open"]>) {
  if (stream === "draining") throw new AppError("busy", "opening a stream: this process is going");
  if (stream === "too_many") {
    const most = streamsMax[c.var.principal.kind];
    throw new HttpError("too_many_requests", `opening a stream: ${most} are open, close one`, {
      "retry-after": "10",
    });
  }
  return c.body(stream, 200, {
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store, no-transform",
    // nginx buffers several kilobytes otherwise.
    "x-accel-buffering": "no",
  });
}

export function addEvents(app: V2App, deps: V2Deps): void {
  const hub = new EventHub(deps);
  const optionsOf = (c: Context<V2Env>) => ({
    streamsMax: streamsMax[c.var.principal.kind],
    gone: c.req.raw.signal,
  });
  app.openapi(getRunsEvents, (c) => {
    const subscriber = toSubscriber(c, false, undefined);
    return respondStream(c, hub.openRuns(subscriber, optionsOf(c)));
  });
  app.openapi(getEvents, async (c) => {
    const { id, mayChange } = await getReadableTask(c, c.req.valid("param").id);
    const since = parseSince(c.req.header("last-event-id") ?? c.req.valid("query").since);
    return respondStream(c, hub.open(id, toSubscriber(c, mayChange, since), optionsOf(c)));
  });
}
