/** A task as it happens: server-sent events, taken up again where they broke off. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { AppError } from "../../../errors.ts";
import { EventHub, type Viewer } from "./hub.ts";
import type { V2App, V2Deps, V2Env } from "../kit/context.ts";
import { HttpFailure } from "../kit/problem.ts";
import { defineRoute, taskParams } from "../kit/route.ts";
import { getTaskOf, type TaskOf } from "../tasks/tasks_of.ts";

/** Open at once in one process; a link is for many people. */
const streamsMax = { user: 20, share: 200 };

const eventsQuery = z.object({
  since: z.string().max(100).optional().openapi({
    param: { name: "since", in: "query" },
    description: "A revision, as of the planes; Last-Event-ID goes before it",
  }),
});

const getEvents = defineRoute({
  method: "get",
  path: "/tasks/{id}/events",
  who: "reader",
  tags: ["tasks"],
  summary: "What happens to a task, as it happens",
  description:
    "`progress` (counts by state, cells a second; at most two a second), `cells` (those that changed: " +
    "status, version, image, mean, n), `end` (nothing is to come; ratings and re-runs are told of all the same), " +
    "`resync` (read planes anew, the stream goes on from its revision), `bye` (`expired`, `revoked`, `draining`, " +
    "`deleted`). An id is the task's revision up to which all was told; with it as Last-Event-ID nothing is missed.",
  request: { params: taskParams, query: eventsQuery },
  responses: {
    200: {
      description: "Server-sent events",
      content: { "text/event-stream": { schema: z.string() } },
    },
  },
});

const hubs = new WeakMap<object, EventHub>();

/** The one of this process. */
export function hubOf(deps: V2Deps): EventHub {
  const hub = hubs.get(deps) ?? new EventHub(deps);
  hubs.set(deps, hub);
  return hub;
}

function readSince(text: string | undefined): Viewer["since"] {
  if (text === undefined || text === "") return undefined;
  return /^\d{1,15}$/.test(text) ? Number(text) : "junk";
}

/** What the token says beside who it is for; it was verified on the way in. */
function readClaims(c: Context<V2Env>): { exp: number; ver: number } {
  const [, payload] = (c.req.header("authorization") ?? "").split(".");
  const bytes = Uint8Array.fromBase64(payload ?? "", { alphabet: "base64url" });
  return JSON.parse(new TextDecoder().decode(bytes));
}

function toViewer(c: Context<V2Env>, { mayChange }: TaskOf, since: Viewer["since"]): Viewer {
  const { principal } = c.var;
  const { id } = principal;
  if (principal.kind === "share") {
    const hides = (blind: boolean) => blind || principal.blind;
    return { id, since, hides, expiresAt: null, door: { kind: "share", id } };
  }
  const { exp, ver: version } = readClaims(c);
  const door = { kind: "session" as const, id: principal.sessionId, version };
  return { id, since, hides: (blind) => blind && !mayChange, expiresAt: exp * 1000, door };
}

export function addEvents(app: V2App): void {
  app.openapi(getEvents, async (c) => {
    const task = await getTaskOf(c, c.req.valid("param").id);
    const since = readSince(c.req.header("last-event-id") ?? c.req.valid("query").since);
    const stream = hubOf(c.var.deps).open(task.id, toViewer(c, task, since), {
      streamsMax: streamsMax[c.var.principal.kind],
      gone: c.req.raw.signal,
    });
    if (stream === "draining") throw new AppError("busy", "opening a stream: this process is going");
    if (stream === "too_many") {
      const most = streamsMax[c.var.principal.kind];
      throw new HttpFailure("too_many_requests", `opening a stream: ${most} are open, close one`, {
        "retry-after": "10",
      });
    }
    return c.body(stream, 200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      // nginx would hold events back until it has some kilobytes of them.
      "x-accel-buffering": "no",
    });
  });
}
