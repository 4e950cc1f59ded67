/** Plans a task without creating it: number of cells, duration, warnings. */
import { createHash } from "node:crypto";
import type { Sql } from "../../db/pg/connect.ts";
import { countBacklog } from "../../db/queue/dispatch.ts";
import { findDrawnFingerprints, type Pace, readPaces } from "../../db/queue/pace.ts";
import type { Queue } from "../../db/queue/subtasks.ts";
import { cellsMax } from "../../db/queue/task_fields.ts";
import { AppError } from "../../errors.ts";
import type { Json, JsonObject } from "../../json.ts";
import { type Cell, expandTask, type Expansion } from "../matrix/expand.ts";
import type { SeedRule } from "../matrix/seeds.ts";
import { wait } from "../../wait.ts";
import { type PlanWarning, warnOfPlan } from "./plan_warnings.ts";

export interface PlanInput {
  tags: Json[];
  variables: JsonObject;
  settings: JsonObject;
  priority: number;
  seedRule: SeedRule;
}

export interface QueuePlan {
  queue: Queue;
  cells: number;
  /** Pending cells of other tasks, counted up to a limit. */
  backlog: number;
  slots: number | null;
  /** Completed cells in the sample of recent cells. */
  observed: number;
}

export interface TaskPlan {
  cells: number;
  /** Number of cells whose request equals that of another cell of the task. */
  duplicates: number;
  /** Number of cells that have an image already, among those with known seeds. */
  reusable: number;
  queues: QueuePlan[];
  /** Estimated duration; null if a queue has no recent cells. */
  seconds: { p50: number; p90: number } | null;
  warnings: PlanWarning[];
}

/** Placeholders for random seeds lie below this number, far below the seeds of tags. */
const drawnBelow = -(2 ** 40);
/** Distance between two placeholders, which leaves space for the replicates of each. */
const replicatesMax = 2 ** 17;

function createDraw(): () => number {
  let drawn = 0;
  return () => {
    drawn++;
    return drawnBelow - drawn * replicatesMax;
  };
}

const isKnown = ({ seed }: Cell): boolean => typeof seed === "bigint" || seed > drawnBelow / 2;

/** Returns a function that numbers values from 1; equal values have equal numbers. Neighbours are often equal. */
function createNumbering<T>(): (value: T) => number {
  const known = new Map<T, number>();
  let last: T | undefined;
  let lastNumber = 0;
  return (value) => {
    if (value !== last || lastNumber === 0) {
      last = value;
      lastNumber = known.get(value) ?? known.size + 1;
      known.set(value, lastNumber);
    }
    return lastNumber;
  };
}

/** Upper bound of the numbers of values and lists. */
const numberMax = 2 ** 24;

/** Returns a function from the index of a cell to a number that is equal for equal `prompts`. */
function createPromptIds({ promptParts }: Expansion): (cell: number) => number {
  const numberText = createNumbering<string>();
  const parts = promptParts
    .map(({ texts, stride }) => ({ ids: texts.map((text) => text === "" ? 0 : numberText(text)), stride }));
  const idIn = ({ ids, stride }: typeof parts[number], cell: number) =>
    ids[Math.floor(cell / stride) % ids.length]!;
  // A constant part distinguishes nothing. The others are the digits of a number.
  const digits = parts.filter(({ ids }) => ids.length > 1).map(({ ids, stride }) => {
    const numberDigit = createNumbering<number>();
    return { ids: ids.map((id) => numberDigit(id) - 1), stride };
  });
  const bases = digits.map(({ ids }) => 1 + Math.max(...ids));
  const isNumber = bases.reduce((product, base) => product * base, 1) < numberMax;
  if (isNumber && parts.every(({ ids }) => !ids.includes(0))) {
    return (cell) => digits.reduce((number, digit, i) => number * bases[i]! + idIn(digit, cell), 0);
  }
  // An empty part moves those after it, so the lists of texts are compared without it.
  const numberList = createNumbering<number>();
  return (cell) =>
    parts.map((part) => idIn(part, cell)).filter((id) => id !== 0)
      .reduce((list, id) => numberList(list * numberMax + id), 0);
}

/**
 * Returns a function to numbers that are equal for equal requests. It compares parts instead of joined texts.
 */
function createRequestIds(expansion: Expansion): (cell: Cell) => number {
  const promptsOf = createPromptIds(expansion);
  const numberText = createNumbering<string | null>();
  const numberSettings = createNumbering<number>();
  const numberSeed = createNumbering<number | bigint>();
  const numberRest = createNumbering<number>();
  return ({ cell, seed, use_polish, ratio, client_args }) => {
    const args = client_args === null ? 0 : numberText(client_args);
    const settings = numberSettings((numberText(ratio) * 2 + Number(use_polish)) * numberMax + args);
    const rest = numberRest(settings * numberMax + numberSeed(seed));
    return promptsOf(cell) + (rest - 1) * numberMax;
  };
}

/** Returns the fingerprint that PostgreSQL computes for a stored cell, as 32 hexadecimal digits. */
const fingerprintOf = ({ prompts, seed, use_polish, client_args, ratio }: Cell): string => {
  const args = client_args === null ? "" : `${client_args}\x1f`;
  const text = `${prompts}\x1f${seed}\x1f${use_polish ? "t" : "f"}\x1f${args}${ratio}`;
  return createHash("md5").update(text).digest("hex");
};

/** Number of requests that PostgreSQL looks up while the next ones are hashed. */
const lookedUpAtOnce = 5_000;

/** Counts over the cells of an expansion. */
export interface CellCount {
  duplicates: number;
  queues: Map<Queue, number>;
  /** The fingerprints of the different requests with a known seed, each once. */
  fingerprints: string[];
  /** Number of cells with each of these fingerprints. */
  times: number[];
}

/**
 * Counts cells by queue, duplicates, and cells by request. Keeps no cell, and gives the event loop a turn after each call of
 * `onFingerprints`, so that the lookups run meanwhile.
 *
 * @param onFingerprints gets all fingerprints in the order of the result, at most `lookedUpAtOnce` in each call
 */
export async function countCells(
  expansion: Expansion,
  priority: number,
  onFingerprints: (fingerprints: string[]) => void,
): Promise<CellCount> {
  const idOf = createRequestIds(expansion);
  /** Position in `fingerprints`, by id; requests with a random seed have -1. */
  const positions = new Map<number, number>();
  const fingerprints: string[] = [];
  const times: number[] = [];
  const queues = new Map<Queue, number>();
  let reported = 0;
  const report = () => {
    onFingerprints(fingerprints.slice(reported));
    reported = fingerprints.length;
  };
  for (const cell of expansion.cells) {
    const id = idOf(cell);
    const position = positions.get(id);
    if (position === undefined) {
      positions.set(id, isKnown(cell) ? fingerprints.length : -1);
      if (isKnown(cell)) {
        fingerprints.push(fingerprintOf(cell));
        times.push(1);
      }
    } else if (position >= 0) times[position]!++;
    const queue = priority > 1 ? "high" : cell.queue;
    queues.set(queue, (queues.get(queue) ?? 0) + 1);
    if (fingerprints.length - reported === lookedUpAtOnce) {
      report();
      // A statement is sent only when the event loop gets its turn.
      await wait(0);
    }
  }
  if (fingerprints.length > reported) report();
  return { duplicates: expansion.total - positions.size, queues, fingerprints, times };
}

/**
 * Returns the number of cells whose request has an image already.
 *
 * @param found what `findDrawnFingerprints` returned for each `lookedUpAtOnce` of the fingerprints
 */
const countReusable = ({ fingerprints, times }: CellCount, found: Set<string>[]): number =>
  fingerprints.reduce(
    (sum, fingerprint, i) => found[Math.floor(i / lookedUpAtOnce)]!.has(fingerprint) ? sum + times[i]! : sum,
    0,
  );

/** Maximum pending cells that are counted. */
const backlogMax = 20_000;

/**
 * Estimates the seconds of a queue. `p50`: the work of these cells over the maximum slots that the queue had
 * recently. `p90`: the backlog first, over the present slots, and a slow last attempt.
 */
function estimate(pace: Pace, cells: number, backlog: number): { p50: number; p90: number } | undefined {
  const { mean, p50, p90, attempts, slots, slots_reached } = pace;
  if (mean === null || p50 === null || p90 === null || attempts === null) return undefined;
  const slotsReached = Math.max(1, slots ?? 0, slots_reached ?? 0);
  const work = mean * attempts;
  const likely = Math.max(p50, cells * work / slotsReached);
  const late = p90 + (cells + backlog) * work / Math.max(1, slots ?? slotsReached);
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
    // Queues run in parallel: the slowest one decides.
    seconds = seconds && times
      ? { p50: Math.max(seconds.p50, times.p50), p90: Math.max(seconds.p90, times.p90) }
      : null;
  }
  return { queues, seconds: seconds && { p50: Math.ceil(seconds.p50), p90: Math.ceil(seconds.p90) } };
}

/** Returns the number of cells if an error says that a task has too many. */
function readCellCount(error: unknown): number | undefined {
  if (!(error instanceof AppError)) return undefined;
  const fault = error.fields.find(({ field, wanted }) =>
    field === "variables" && wanted.startsWith(`at most ${cellsMax}`)
  );
  return fault?.value === undefined ? undefined : Number(fault.value);
}

/**
 * Plans a task. Writes nothing.
 *
 * @throws AppError invalid_request for the same reasons as `expandTask`, except too many cells, which is a
 * warning
 */
export async function planTask({ sql }: { sql: Sql }, input: PlanInput): Promise<TaskPlan> {
  const { tags, variables, settings, seedRule, priority } = input;
  let expansion: Expansion;
  try {
    expansion = expandTask({ tags, variables, settings }, { seedRule, drawSeed: createDraw() });
  } catch (error) {
    const cells = readCellCount(error);
    if (cells === undefined) throw error;
    const warnings = warnOfPlan(input, { cells, duplicates: 0 });
    return { cells, duplicates: 0, reusable: 0, queues: [], seconds: null, warnings };
  }
  const lookups: Promise<Set<string>>[] = [];
  const count = await countCells(expansion, priority, (fingerprints) => {
    const lookup = findDrawnFingerprints(sql, fingerprints);
    // It may fail before it is awaited.
    lookup.catch(() => {});
    lookups.push(lookup);
  });
  const { duplicates, queues } = count;
  const [found, pace] = await Promise.all([Promise.all(lookups), planQueues(sql, queues)]);
  const reusable = countReusable(count, found);
  const warnings = warnOfPlan(input, { cells: expansion.total, duplicates });
  return { cells: expansion.total, duplicates, reusable, ...pace, warnings };
}
