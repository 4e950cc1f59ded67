/** The data that a run leaves for its rules: rows, their history, POSTs, logs and injected faults. */
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
import type { LogLine } from "./workers.ts";
import { cellKey, groupPosts } from "./image_posts.ts";
import type { SubmittedTask } from "./users.ts";
import type { Plan } from "./plan.ts";

/** A task after the run. */
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

/** A subtask after the run. */
export interface CellFact {
  id: string;
  task_id: string;
  /** Number of the cell in its task. */
  cell: number;
  /** Key that links the cell to its POSTs. */
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

/** A notice in the outbox after the run. */
export interface NoticeFact {
  task_id: string;
  kind: string;
  tries: number;
  closed: boolean;
  delivered: number;
}

/** A fault as it was injected. Times are in seconds since 1970. */
export interface InjectedFault {
  kind: FaultKind;
  workerIndex: number;
  from: number;
  to: number;
}

/** The state of the system after the rig waited for it to become idle. */
export interface IdleState {
  /** Descriptions of everything that is not idle. */
  unsettled: string[];
  /** Possible duplicate jobs that the running processes have counted, by process id. */
  possibleDuplicates: Map<number, number>;
  /** Whether Redis holds the epoch mark that shows that it was not wiped. */
  epochMarked: boolean;
}

/** Everything that the rules check. */
export interface Facts {
  plan: Plan;
  tasks: TaskFact[];
  cells: CellFact[];
  notices: NoticeFact[];
  moves: Move[];
  taskMoves: TaskMove[];
  slotsMoves: SlotsMove[];
  submitted: SubmittedTask[];
  /** POSTs to the image API by the key of their cell. */
  posts: Map<string, ImagePost[]>;
  /** Bodies that the notice webhook received. */
  hooks: string[];
  log: LogLine[];
  injected: InjectedFault[];
  idle: IdleState;
  /** Periods without a claim although there was work, a free slot and no fault. Times are in seconds. */
  stalls: { from: number; to: number; seconds: number }[];
}

type Observed = Pick<Facts, "plan" | "submitted" | "hooks" | "log" | "injected" | "idle" | "stalls">;

/** Adds the rows and their history from the database to what the rig observed. */
export async function gatherFacts(sql: Pool, observed: Observed, posts: ImagePost[]): Promise<Facts> {
  const tasks = await sql<TaskFact[]>`
    select id, task_name as name, status, all_subtasks_completed, cancelling, subtasks_total as total,
      subtasks_completed as completed, subtasks_failed as failed, subtasks_cancelled as cancelled
    from tasks
    order by created_at`;
  const cells = await sql<(Omit<CellFact, "key" | "prompt"> & { prompts: string })[]>`
    select id, parent_task_id as task_id, cell, prompts::text, status, attempt, retry_count as failures, lease_id::text,
      worker_id, image_url, result is not null as has_result, error
    from subtasks
    order by parent_task_id, cell`;
  const notices = await sql<NoticeFact[]>`
    select task_id, kind, tries, closed_at is not null as closed, cardinality(delivered) as delivered
    from outbox
    order by id`;
  return {
    ...observed,
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
