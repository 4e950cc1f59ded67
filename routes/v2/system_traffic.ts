/** The traffic between the old backend and this system: the phase, its changes, and what the shadow found. */
import { z } from "@hono/zod-openapi";
import type { Context } from "hono";
import { listShadowDifferences, readShadowCounts, shadowCauses } from "../../db/traffic/differences.ts";
import { changeTrafficByHand } from "../../db/traffic/fence.ts";
import { checkPhaseChange, type WantedChange } from "../../db/traffic/order.ts";
import { listFrontProcesses } from "../../db/traffic/processes.ts";
import { listTrafficChanges, phases, readTraffic, type Traffic } from "../../db/traffic/traffic.ts";
import { AppError } from "../../errors.ts";
import type { V2App, V2Deps, V2Env } from "./kit/context.ts";
import { requireMatch } from "./kit/etag.ts";
import { defineRoute, jsonBody, jsonResponse, time } from "./kit/route.ts";
import { textSchema } from "./kit/texts.ts";
import { userOf } from "./people/sessions.ts";

const tags: ["system"] = ["system"];

const changesMax = 20;
const differencesMax = 100;
const shadowHours = 24;
const reasonLengthMax = 500;

const phase = z.enum(phases);
const share = z.int().min(0).max(100);

const processOut = z.object({
  id: z.string(),
  host: z.string(),
  pid: z.int(),
  acknowledged: z.int().openapi({ description: "Version of the traffic that the process works by" }),
  is_current: z.boolean(),
  writes_in_flight: z.int().openapi({ description: "Writes that the old backend has not answered yet" }),
  writes_held: z.int(),
  seen_ms_ago: z.int(),
}).openapi("FrontProcess");

const changeOut = z.object({
  version: z.int(),
  at: time,
  changed_by: z.string(),
  phase_before: phase,
  phase_after: phase,
  share_before: z.int(),
  share_after: z.int(),
  reason: z.string(),
  forced: z.boolean(),
}).openapi("TrafficChange");

const differenceOut = z.object({
  route: z.string(),
  path: z.string().openapi({ description: "Place in the answer, with `*` for places in lists and ids" }),
  cause: z.enum(shadowCauses).openapi({
    description:
      "`code`: equal rows give different answers; `data`: a row differs from its document; `lag`: changes were not " +
      "applied yet; `noise`: the old backend answers differently by itself; `intended`: a known difference",
  }),
  rule: z.string().openapi({ description: "What explains the difference; empty if nothing does" }),
  answers: z.int(),
  first_at: time,
  last_at: time,
  sample_target: z.string(),
  sample_old: z.string().nullable(),
  sample_new: z.string().nullable(),
}).openapi("ShadowDifference");

const trafficOut = z.object({
  phase,
  share: z.int().openapi({
    description: "Percentage of users whose reads this system answers in phase `canary`",
  }),
  version: z.int().openapi({ description: "Raised by each change" }),
  phase_before: phase.nullable().openapi({ description: "The phase to which `holding` returns by itself" }),
  hold_ends_in_ms: z.int().nullable(),
  changed_at: time,
  changed_by: z.string(),
  reason: z.string(),
  processes: z.array(processOut).openapi({
    description: "API processes that stand before the old backend; none without LEGACY_API_URL",
  }),
  changes: z.array(changeOut).openapi({ description: `Newest first, at most ${changesMax}` }),
  shadow: z.object({
    hours: z.int(),
    compared: z.int(),
    equal: z.int(),
    unexplained: z.int().openapi({ description: "Kinds of differences with the cause `code` or `data`" }),
    differences: z.array(differenceOut).openapi({
      description:
        `Causes \`code\` and \`data\` first, at most ${differencesMax}, since the start of the comparison`,
    }),
  }).openapi({ description: "Answers that were compared in the last hours" }),
}).openapi("Traffic");

const readRoute = defineRoute({
  method: "get",
  path: "/system/traffic",
  access: "staff",
  tags,
  summary: "Get the phase of the traffic and what the comparison found",
  responses: {
    200: jsonResponse(
      trafficOut,
      "The current state. The ETag is that of the phase; PATCH accepts it in If-Match",
    ),
  },
});

const patchRoute = defineRoute({
  method: "patch",
  path: "/system/traffic",
  access: "admin",
  tags,
  summary: "Change the phase of the traffic or the share of users",
  description:
    "In order are `old` ↔ `shadow` ↔ `canary`, and the way back by any number of steps. `new` is reached by a cut-over " +
    "only, and left by a rollback. `force` overrides the order and may lose writes; the journal keeps it.",
  request: {
    body: jsonBody(
      z.strictObject({
        phase: phase.optional(),
        share: share.optional().openapi({ description: "Only in phase `canary`" }),
        reason: textSchema(reasonLengthMax),
        force: z.boolean().optional(),
      }).openapi("TrafficPatch"),
    ),
  },
  problems: ["conflict"],
  responses: {
    200: jsonResponse(trafficOut, "The traffic after the change; unchanged if it was so already"),
  },
});

const etagOf = ({ version }: Traffic): string => `W/"traffic-${version}"`;

async function readState(
  { sql }: V2Deps,
  traffic: Traffic,
): Promise<z.infer<typeof trafficOut>> {
  const [processes, changes, counts, differences] = await Promise.all([
    listFrontProcesses(sql),
    listTrafficChanges(sql, changesMax),
    readShadowCounts(sql, shadowHours),
    listShadowDifferences(sql, differencesMax),
  ]);
  const { hold_ms, ...rest } = traffic;
  return {
    ...rest,
    hold_ends_in_ms: hold_ms === null ? null : Math.max(0, Math.round(hold_ms)),
    processes: processes.map(({ id, host, pid, acknowledged, writes_in_flight, writes_held, seen_ms }) => ({
      id,
      host,
      pid,
      acknowledged,
      is_current: acknowledged >= traffic.version,
      writes_in_flight,
      writes_held,
      seen_ms_ago: Math.max(0, Math.round(seen_ms)),
    })),
    changes,
    shadow: { hours: shadowHours, ...counts, differences },
  };
}

/** @throws AppError conflict if the change is out of order, or another one came first */
async function change(
  c: Context<V2Env>,
  wanted: WantedChange,
  { reason, force = false }: { reason: string; force?: boolean | undefined },
): Promise<Traffic> {
  const { sql } = c.var.deps;
  const traffic = await readTraffic(sql);
  requireMatch(c, etagOf(traffic));
  const check = checkPhaseChange(traffic, wanted, { force });
  if (check.result === "unchanged") return traffic;
  if (check.result === "refused") {
    const more = check.canForce ? "; 'force' overrides this" : "";
    throw new AppError("conflict", `changing the traffic: ${check.reason}${more}`);
  }
  const changed = await changeTrafficByHand(sql, traffic, {
    phase: check.phase,
    share: check.share,
    by: userOf(c).email,
    reason,
    forced: check.mayLose !== null,
    holdMs: null,
  });
  if (changed) return changed;
  throw new AppError("conflict", "changing the traffic: somebody changed it at the same time; read it again");
}

export function addTraffic(app: V2App): void {
  app.openapi(readRoute, async (c) => {
    const traffic = await readTraffic(c.var.deps.sql);
    c.header("etag", etagOf(traffic));
    return c.json(await readState(c.var.deps, traffic), 200);
  });
  app.openapi(patchRoute, async (c) => {
    const { phase, share, reason, force } = c.req.valid("json");
    const traffic = await change(c, { phase, share }, { reason, force });
    c.header("etag", etagOf(traffic));
    return c.json(await readState(c.var.deps, traffic), 200);
  });
}
