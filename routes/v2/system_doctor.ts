/** The doctor's findings in PostgreSQL, for operators. It only reads; `deno task worker:doctor` repairs. */
import { z } from "@hono/zod-openapi";
import {
  countAbandonedNotices,
  findCancellingTasks,
  findCounterMismatches,
  findEndMismatches,
  findLostCells,
  findMissingEndNotices,
  findStuckNotices,
  findTasksWithOpenCells,
  findUnclosedTasks,
} from "../../db/queue/doctor.ts";
import {
  countHeldTasks,
  findSilentWorkers,
  listLoadFaults,
  listQueueLoads,
  readLeadership,
} from "../../db/queue/doctor_fleet.ts";
import { queues } from "../../db/queue/subtasks.ts";
import {
  deadAfterMs,
  doctorSettleMs as doctorSettleMsDefault,
  noticeLateMs,
  overdueMs,
} from "../../db/queue/times.ts";
import { withGate } from "./kit/authorize.ts";
import type { V2App, V2Deps } from "./kit/context.ts";
import { defineRoute, jsonResponse } from "./kit/route.ts";

type Sql = V2Deps["sql"];

/** Finds faults. @returns ids of tasks, cells or workers, or names of queues */
type Look = (sql: Sql) => Promise<string[]>;

/** Tasks that ended within this many days are checked. */
const days = 7;
const aboutMax = 20;

const tasksOf = (find: (sql: Sql, days: number) => Promise<{ task_id: string }[]>): Look => async (sql) =>
  (await find(sql, days)).map(({ task_id }) => task_id);

/** Checks whose findings are faults. */
const faultLooks = {
  silent_workers: async (sql) => (await findSilentWorkers(sql, deadAfterMs)).map(({ id }) => id),
  leader: async (sql) => {
    const { leads, workers, holder } = await readLeadership(sql);
    return leads || workers === 0 ? [] : [holder ?? "none"];
  },
  queues: async (sql) =>
    (await listQueueLoads(sql, queues, deadAfterMs)).filter((load) => listLoadFaults(load).length > 0)
      .map(({ queue }) => queue),
  counters: tasksOf(findCounterMismatches),
  unclosed_tasks: tasksOf(findUnclosedTasks),
  open_cells: tasksOf(findTasksWithOpenCells),
  cancelling: tasksOf(findCancellingTasks),
  ends: tasksOf(findEndMismatches),
  leases: async (sql) => (await findLostCells(sql, { deadAfterMs, overdueMs })).map(({ id }) => id),
  notices: tasksOf((sql) => findStuckNotices(sql, noticeLateMs)),
  untold_ends: tasksOf(findMissingEndNotices),
} satisfies Record<string, Look>;

type FaultName = keyof typeof faultLooks;
const faultNames = Object.keys(faultLooks) as FaultName[];

/** Texts of the findings of each check. */
const texts: Record<Finding["check"], string> = {
  silent_workers: "workers have sent no sign for 6 s",
  leader: "workers run, but none leads: their logs say why",
  queues: "work waits that no worker serves or has slots for, or more runs than allowed",
  counters: "counters of tasks differ from their cells",
  unclosed_tasks: "tasks are open although all their cells have ended",
  open_cells: "ended tasks have cells that have not ended",
  cancelling: "cancelled tasks have pending cells",
  ends: "tasks contradict themselves about their end",
  leases: "cells run on workers that are gone, or for too long",
  notices: "notices are more than 5 minutes late",
  untold_ends: "tasks have ended without a notice",
  held_tasks: "tasks are held",
  abandoned_notices: "notices of the last day were refused by their receivers",
};

/** Faults that need a person. */
const forPeople: ReadonlySet<FaultName> = new Set(["leader", "queues"]);

const findingOut = z.object({
  check: z.enum([...faultNames, "held_tasks", "abandoned_notices"]),
  text: z.string(),
  fault: z.boolean().openapi({ description: "false: a note about an unusual state" }),
  count: z.int(),
  about: z.array(z.string()).openapi({
    description: `Ids of tasks, cells or workers, or names of queues or holds; at most ${aboutMax}`,
  }),
  repairable: z.boolean().openapi({ description: "`deno task worker:doctor --repair` repairs it" }),
}).openapi("DoctorFinding");
type Finding = z.infer<typeof findingOut>;

const readDoctor = defineRoute({
  method: "get",
  path: "/system/doctor",
  access: "staff",
  gate: "in_handler",
  tags: ["system"],
  summary: "Look for faults in the queue",
  description:
    "Looks at tasks, cells, notices, workers and queues in PostgreSQL, and after 2.5 s again at what it found: " +
    "what passes by itself is left out. `deno task worker:doctor` also looks at Redis.",
  responses: {
    200: jsonResponse(
      z.object({ checks: z.int(), findings: z.array(findingOut) }).openapi("DoctorReport"),
      "Faults first; none if the queue is healthy",
    ),
  },
});

async function lookForFaults(sql: Sql, names: readonly FaultName[]): Promise<Map<FaultName, string[]>> {
  const found = new Map<FaultName, string[]>();
  for (const name of names) {
    const about = await faultLooks[name](sql);
    if (about.length > 0) found.set(name, about);
  }
  return found;
}

async function listNotes(sql: Sql): Promise<Finding[]> {
  const held = await countHeldTasks(sql);
  const abandoned = await countAbandonedNotices(sql);
  const note = (check: Finding["check"], count: number, about: string[]): Finding[] =>
    count === 0 ? [] : [{ check, text: texts[check], fault: false, count, about, repairable: false }];
  return [
    ...note("held_tasks", held.reduce((sum, { tasks }) => sum + tasks, 0), held.map(({ hold }) => hold)),
    ...note("abandoned_notices", abandoned, []),
  ];
}

/** Returns the faults that both looks found. */
function listLasting(first: Map<FaultName, string[]>, second: Map<FaultName, string[]>): Finding[] {
  return [...first].flatMap(([check, before]) => {
    const about = second.get(check)?.filter((key) => before.includes(key)) ?? [];
    if (about.length === 0) return [];
    const repairable = !forPeople.has(check);
    return [{
      check,
      text: texts[check],
      fault: true,
      count: about.length,
      about: about.slice(0, aboutMax),
      repairable,
    }];
  });
}

export function addDoctor(app: V2App): void {
  app.openapi(readDoctor, async (c) => {
    const { sql, doctorSettleMs: settleMs = doctorSettleMsDefault } = c.var.deps;
    const first = await withGate(c, () => lookForFaults(sql, faultNames));
    if (first.size > 0) await new Promise((resolve) => setTimeout(resolve, settleMs));
    const findings = await withGate(c, async () => {
      const second = await lookForFaults(sql, [...first.keys()]);
      return [...listLasting(first, second), ...await listNotes(sql)];
    });
    return c.json({ checks: faultNames.length, findings }, 200);
  });
}
