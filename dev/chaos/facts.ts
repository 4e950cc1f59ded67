/** What is known after a run: rows, their history, the ledger, and what was done to whom. */
import type { Pool } from "../../db/pg/connect.ts";
import type { ImagePost } from "../servers/image_api.ts";
import {
  listMoves,
  listSlotsMoves,
  listTaskMoves,
  type Move,
  type SlotsMove,
  type TaskMove,
} from "./audit.ts";
import type { FaultKind } from "./faults.ts";
import type { LogLine } from "./fleet.ts";
import { cellKey, groupPosts } from "./ledger.ts";
import type { Submitted } from "./load.ts";
import type { Plan } from "./schedule.ts";

export interface TaskFact {
  id: string;
  name: string;
  status: string;
  all_subtasks_completed: boolean;
  cancelling: boolean;
  total: number;
  completed: number;
  failed: number;
  cancelled: number;
}

export interface CellFact {
  id: string;
  task_id: string;
  /** Its place in the task. */
  cell: number;
  key: string;
  prompt: string;
  status: string;
  attempt: number;
  failures: number;
  lease_id: string | null;
  worker_id: string | null;
  image_url: string | null;
  has_result: boolean;
  error: string | null;
}

export interface NoticeFact {
  task_id: string;
  kind: string;
  tries: number;
  closed: boolean;
  delivered: number;
}

/** A fault as it was: times in seconds since 1970. */
export interface Struck {
  kind: FaultKind;
  place: number;
  from: number;
  to: number;
}

/** What the rig found when it had waited long enough. */
export interface Calm {
  /** What is not at rest; empty where all is. */
  restless: string[];
  /** Possible doubles that the living processes have counted, by process id. */
  doubles: Map<number, number>;
  /** The mark by which a wiped Redis is told is there. */
  marked: boolean;
}

export interface Facts {
  plan: Plan;
  tasks: TaskFact[];
  cells: CellFact[];
  notices: NoticeFact[];
  moves: Move[];
  taskMoves: TaskMove[];
  slotsMoves: SlotsMove[];
  submitted: Submitted[];
  /** POSTs by the key of their cell. */
  posts: Map<string, ImagePost[]>;
  hooks: string[];
  log: LogLine[];
  struck: Struck[];
  calm: Calm;
  /** Stretches in which nothing was begun although there was work, room and no fault; seconds. */
  stalls: { from: number; to: number; seconds: number }[];
}

type Seen = Pick<
  Facts,
  "plan" | "submitted" | "hooks" | "log" | "struck" | "calm" | "stalls"
>;

/** Reads the rest out of the database. */
export async function gatherFacts(sql: Pool, seen: Seen, posts: ImagePost[]): Promise<Facts> {
  const tasks = await sql<TaskFact[]>`
    select id, task_name as name, status, all_subtasks_completed, cancelling, subtasks_total as total,
      subtasks_completed as completed, subtasks_failed as failed, subtasks_cancelled as cancelled
    from tasks order by created_at`;
  const cells = await sql<(Omit<CellFact, "key" | "prompt"> & { prompts: string })[]>`
    select id, parent_task_id as task_id, cell, prompts::text, status, attempt, retry_count as failures, lease_id::text,
      worker_id, image_url, result is not null as has_result, error
    from subtasks order by parent_task_id, cell`;
  const notices = await sql<NoticeFact[]>`
    select task_id, kind, tries, closed_at is not null as closed, cardinality(delivered) as delivered
    from outbox order by id`;
  return {
    ...seen,
    tasks,
    cells: cells.map(({ prompts, ...cell }) => {
      const key = cellKey(prompts);
      return { ...cell, key, prompt: key };
    }),
    notices,
    moves: await listMoves(sql),
    taskMoves: await listTaskMoves(sql),
    slotsMoves: await listSlotsMoves(sql),
    posts: groupPosts(posts),
  };
}
