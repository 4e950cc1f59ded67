/** The history of every row, recorded by the rig's own triggers in the rig's own database. */
import type { Pool } from "../../db/pg/connect.ts";

/** One change of a subtask. Times are in seconds of the database's clock. */
export interface Move {
  at: number;
  task_id: string;
  id: string;
  queue: string;
  was: string;
  becomes: string;
  lease_was: string | null;
  lease: string | null;
  worker_was: string | null;
  worker: string | null;
  attempt_was: number;
  attempt: number;
  failures_was: number;
  failures: number;
  remote_was: string | null;
  remote: string | null;
  intent_was: boolean;
  intent: boolean;
}

/** One change of a task's status. */
export interface TaskMove {
  at: number;
  id: string;
  was: string;
  becomes: string;
  /** Whether the rig itself reopened the task. */
  reopened: boolean;
}

/** One change of a queue's number of slots. */
export interface SlotsMove {
  at: number;
  queue: string;
  slots: number;
}

const triggers = `
  create schema chaos;
  create table chaos.moves (
    n bigint generated always as identity, at timestamptz not null default clock_timestamp(), task_id uuid, id uuid,
    queue text, was text, becomes text, lease_was bigint, lease bigint, worker_was text, worker text,
    attempt_was int, attempt int, failures_was int, failures int, remote_was text, remote text,
    intent_was boolean, intent boolean
  );
  create table chaos.task_moves (
    n bigint generated always as identity, at timestamptz not null default clock_timestamp(), id uuid, was text,
    becomes text, reopened boolean
  );
  create table chaos.slots_moves (
    n bigint generated always as identity, at timestamptz not null default clock_timestamp(), queue text, slots int
  );
  create function chaos.note_move() returns trigger language plpgsql as $$
  begin
    insert into chaos.moves (
      task_id, id, queue, was, becomes, lease_was, lease, worker_was, worker, attempt_was, attempt, failures_was,
      failures, remote_was, remote, intent_was, intent
    ) values (
      new.parent_task_id, new.id, new.queue, old.status, new.status, old.lease_id, new.lease_id, old.worker_id,
      new.worker_id, old.attempt, new.attempt, old.retry_count, new.retry_count, old.remote_id, new.remote_id,
      old.intent_at is not null, new.intent_at is not null
    );
    return null;
  end $$;
  create trigger chaos_move after update on public.subtasks for each row execute function chaos.note_move();
  create function chaos.note_task() returns trigger language plpgsql as $$
  begin
    insert into chaos.task_moves (id, was, becomes, reopened)
    values (new.id, old.status, new.status, current_setting('chaos.reopens', true) is not distinct from 'yes');
    return null;
  end $$;
  create trigger chaos_task after update on public.tasks for each row
  when (old.status is distinct from new.status) execute function chaos.note_task();
  create function chaos.note_slots() returns trigger language plpgsql as $$
  begin
    insert into chaos.slots_moves (queue, slots) values (new.queue, new.slots);
    return null;
  end $$;
  create trigger chaos_slots after insert or update on public.queue_slots for each row
  execute function chaos.note_slots();`;

/** Installs the triggers in a migrated database. */
export async function installAudit(sql: Pool): Promise<void> {
  await sql.unsafe(triggers);
}

/** Lists all changes of subtasks in order. */
export async function listMoves(sql: Pool): Promise<Move[]> {
  return await sql<Move[]>`
    select extract(epoch from at)::float8 as at, task_id, id, queue, was, becomes, lease_was::text, lease::text, worker_was,
      worker, attempt_was, attempt, failures_was, failures, remote_was, remote, intent_was, intent
    from chaos.moves
    order by n`;
}

/** Lists all changes of tasks in order. */
export async function listTaskMoves(sql: Pool): Promise<TaskMove[]> {
  return await sql<TaskMove[]>`
    select extract(epoch from at)::float8 as at, id, was, becomes, reopened
    from chaos.task_moves
    order by n`;
}

/** Lists all changes of the numbers of slots in order. */
export async function listSlotsMoves(sql: Pool): Promise<SlotsMove[]> {
  return await sql<SlotsMove[]>`
    select extract(epoch from at)::float8 as at, queue, slots
    from chaos.slots_moves
    order by n`;
}
