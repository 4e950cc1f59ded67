/** What a task would be, before it is made: how many cells, how long, what is doubtful about it. Writes nothing. */
import { createHash } from "node:crypto";
import type { Sql } from "../../db/pg/connect.ts";
import { countBacklog } from "../../db/queue/dispatch.ts";
import { findDrawn, type Pace, readPaces } from "../../db/queue/pace.ts";
import type { Queue } from "../../db/queue/subtasks.ts";
import { AppError } from "../../errors.ts";
import type { Json, JsonObject } from "../../json.ts";
import { type Cell, cellsMax, expandTask, type Expansion } from "../matrix/expand.ts";
import type { SeedRule } from "../matrix/seeds.ts";
import { type PlanWarning, warnOfPlan } from "./plan_warnings.ts";

export interface PlanOrder {
  tags: Json[];
  variables: JsonObject;
  settings: JsonObject;
  priority: number;
  seedRule: SeedRule;
}

export interface QueuePlan {
  queue: Queue;
  cells: number;
  /** Of other tasks, counted up to a limit. */
  backlog: number;
  slots: number | null;
  observed: number;
}

export interface TaskPlan {
  cells: number;
  /** Cells that ask for the same image as another of the task. */
  duplicates: number;
  /** Cells for which there is an image already, as far as their seeds are known now. */
  reusable: number;
  queues: QueuePlan[];
  /** Null where nothing was observed of a queue. */
  seconds: { p50: number; p90: number } | null;
  warnings: PlanWarning[];
}

/** Seeds that will be drawn stand far below all that a tag may sensibly give, each with room for its replicates. */
const drawnBelow = -(2 ** 40);
const room = 2 ** 17;

function createDraw(): () => number {
  let drawn = 0;
  return () => drawnBelow - ++drawn * room;
}

const isKnown = ({ seed }: Cell): boolean => typeof seed === "bigint" || seed > drawnBelow / 2;

/** Numbers things from 1, equal ones alike. */
function createNumbering<T>(): (thing: T) => number {
  const known = new Map<T, number>();
  return (thing) => {
    const number = known.get(thing) ?? known.size + 1;
    known.set(thing, number);
    return number;
  };
}

/** Numbers of things, and of lists, stay far below. */
const numberMax = 2 ** 24;

/** Numbers that are equal for equal requests, built up part by part: no text of a cell is joined to be compared. */
function createRequestIds({ promptParts }: Expansion): (cell: Cell) => number {
  const numberText = createNumbering<string | null>();
  const numberSeed = createNumbering<number | bigint>();
  const numberList = createNumbering<number>();
  const append = (list: number, id: number) => numberList(list * numberMax + id);
  const parts = promptParts
    .map(({ texts, stride }) => ({ ids: texts.map((text) => text === "" ? 0 : numberText(text)), stride }))
    // What is the same everywhere tells no two apart, unless something beside it may be empty: then its place counts.
    .filter(({ ids }, _, all) => ids.length > 1 || all.some(({ ids }) => ids.includes(0)));
  return ({ cell, seed, use_polish, ratio, client_args }) => {
    let list = 0;
    for (const { ids, stride } of parts) {
      const id = ids[Math.floor(cell / stride) % ids.length]!;
      if (id !== 0) list = append(list, id);
    }
    const settings = append(numberText(ratio) * 2 + Number(use_polish), numberText(client_args));
    return append(append(list, settings), numberSeed(seed));
  };
}

/** As the database computes it for a cell that is stored. */
const fingerprintOf = ({ prompts, seed, use_polish, client_args, ratio }: Cell): string => {
  const parts = [
    prompts,
    seed,
    use_polish ? "t" : "f",
    ...(client_args === null ? [] : [client_args]),
    ratio,
  ];
  const hex = createHash("md5").update(parts.join("\x1f")).digest("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
};

export interface CellCount {
  duplicates: number;
  queues: Map<Queue, number>;
  /** Cells by the fingerprint of their request, where their seed is known. */
  fingerprints: Map<string, number>;
}

/** Counts cells by queue, equal requests once. */
export function countCells(expansion: Expansion, priority: number): CellCount {
  const idOf = createRequestIds(expansion);
  const times = new Map<number, number>();
  const known = new Map<number, Cell>();
  const queues = new Map<Queue, number>();
  for (const cell of expansion.cells) {
    const id = idOf(cell);
    times.set(id, (times.get(id) ?? 0) + 1);
    if (isKnown(cell) && !known.has(id)) known.set(id, cell);
    const queue = priority > 1 ? "high" : cell.queue;
    queues.set(queue, (queues.get(queue) ?? 0) + 1);
  }
  const fingerprints = new Map<string, number>();
  for (const [id, cell] of known) fingerprints.set(fingerprintOf(cell), times.get(id)!);
  return { duplicates: expansion.total - times.size, queues, fingerprints };
}

/** What waits is counted up to here. */
const backlogMax = 20_000;

/**
 * The likely time: the work of these cells over the most slots that the queue had of late. The late one: what waits goes
 * first, over the slots that it has now, and the last attempt is a slow one.
 */
function estimate(pace: Pace, cells: number, backlog: number): { p50: number; p90: number } | undefined {
  const { mean, p50, p90, attempts, slots, slots_reached } = pace;
  if (mean === null || p50 === null || p90 === null || attempts === null) return undefined;
  const usual = Math.max(1, slots ?? 0, slots_reached ?? 0);
  const work = mean * attempts;
  const likely = Math.max(p50, cells * work / usual);
  const late = p90 + (cells + backlog) * work / Math.max(1, slots ?? usual);
  return { p50: likely, p90: Math.max(late, likely) };
}

async function planQueues(
  sql: Sql,
  counts: Map<Queue, number>,
): Promise<Pick<TaskPlan, "queues" | "seconds">> {
  const [paces, backlogs] = await Promise.all([
    readPaces(sql, [...counts.keys()]),
    Promise.all(
      [...counts.keys()].map(async (queue) => [queue, await countBacklog(sql, queue, backlogMax)] as const),
    ),
  ]);
  const backlogOf = new Map(backlogs);
  const queues: QueuePlan[] = [];
  let seconds: TaskPlan["seconds"] = { p50: 0, p90: 0 };
  for (const pace of paces) {
    const { queue, slots, observed } = pace;
    const cells = counts.get(queue)!;
    const backlog = backlogOf.get(queue)!;
    queues.push({ queue, cells, backlog, slots, observed });
    const times = estimate(pace, cells, backlog);
    // Queues go side by side: the slowest decides.
    seconds = seconds && times
      ? { p50: Math.max(seconds.p50, times.p50), p90: Math.max(seconds.p90, times.p90) }
      : null;
  }
  return { queues, seconds: seconds && { p50: Math.ceil(seconds.p50), p90: Math.ceil(seconds.p90) } };
}

/** The count of a task that is refused for it alone. */
function readExcess(error: unknown): number | undefined {
  if (!(error instanceof AppError)) return undefined;
  const fault = error.fields.find(({ field, wanted }) =>
    field === "variables" && wanted.startsWith(`at most ${cellsMax}`)
  );
  return fault?.value === undefined ? undefined : Number(fault.value);
}

/**
 * Plans a task.
 *
 * @throws AppError invalid_request as `expandTask` does, but for too many cells: that is a warning
 */
export async function planTask({ sql }: { sql: Sql }, order: PlanOrder): Promise<TaskPlan> {
  const { tags, variables, settings, seedRule, priority } = order;
  let expansion: Expansion;
  try {
    expansion = expandTask({ tags, variables, settings }, { seedRule, drawSeed: createDraw() });
  } catch (error) {
    const cells = readExcess(error);
    if (cells === undefined) throw error;
    const warnings = warnOfPlan(order, { cells, duplicates: 0 });
    return { cells, duplicates: 0, reusable: 0, queues: [], seconds: null, warnings };
  }
  const { duplicates, queues, fingerprints } = countCells(expansion, priority);
  const [drawn, pace] = await Promise.all([
    findDrawn(sql, [...fingerprints.keys()]),
    planQueues(sql, queues),
  ]);
  let reusable = 0;
  for (const fingerprint of drawn) reusable += fingerprints.get(fingerprint) ?? 0;
  const warnings = warnOfPlan(order, { cells: expansion.total, duplicates });
  return { cells: expansion.total, duplicates, reusable, ...pace, warnings };
}
