/**
 * The statements on task tables that read all partitions, because they concern all tasks. Each costs one index scan a
 * partition, or one round trip a node of Citus. docs/scaling.md lists them with what they cost.
 */

/** A statement without the key of its table. */
export interface FanOut {
  /** The name in docs/scaling.md. */
  name: string;
  file: string;
  /** A part of the statement, each white space one space. */
  part: string;
  /** Why it cannot carry the key, and how often it runs. */
  why: string;
}

export const fanOuts: readonly FanOut[] = [
  {
    name: "feed",
    file: "db/queue/dispatch.ts",
    part:
      "running as materialized ( select parent_task_id, count(*) as cells from subtasks where status = 'processing'",
    why:
      "The leader divides slots among all tasks that run; once a second at most, by the index of processing cells.",
  },
  {
    name: "slots in use",
    file: "db/queue/dispatch.ts",
    part:
      "select queue, count(*)::int as cells from subtasks where status = 'processing' and worker_id is not null",
    why: "The leader compares slots with what runs; by the index of processing cells.",
  },
  {
    name: "leases of a worker",
    file: "db/queue/dispatch.ts",
    part: "select parent_task_id as task_id, id, lease_id::text from subtasks where worker_id = ",
    why: "A worker asks what it still holds, of whichever task, with every second heartbeat.",
  },
  {
    name: "orphans",
    file: "db/queue/dispatch.ts",
    part: "with orphans as materialized ( select s.parent_task_id, s.id, s.worker_id",
    why:
      "The leader looks for cells of silent and dead workers; each sweep, by the index of processing cells.",
  },
  {
    name: "room for slots",
    file: "db/queue/workers.ts",
    part: "orphans as ( select queue, count(*) as cells from subtasks s where s.status = 'processing'",
    why: "A worker takes its part of the slots and leaves room for cells of dead workers.",
  },
  {
    name: "slots of silent workers",
    file: "db/queue/workers.ts",
    part: "select queue, count(*) as cells from subtasks where worker_id = w.id and status = 'processing'",
    why:
      "The leader leaves a worker without heartbeats the slots of its running cells; only while there is one.",
  },
  {
    name: "lost cells",
    file: "db/queue/doctor.ts",
    part: "left join workers w on w.id = s.worker_id where s.status = 'processing'",
    why: "The doctor looks for cells that nobody draws; when somebody asks.",
  },
  {
    name: "queues of the doctor",
    file: "db/queue/doctor_fleet.ts",
    part: "s.status = 'processing' and s.lease_id is not null and s.queue = q.queue",
    why: "The doctor compares slots with what runs; when somebody asks.",
  },
  {
    name: "capacity",
    file: "db/queue/cells.ts",
    part: "select count(*) from subtasks where status = 'processing' and lease_id is not null and queue = ",
    why: "Explains why a cell does not run; when somebody asks.",
  },
  {
    name: "cells of workers",
    file: "db/queue/system.ts",
    part: "select count(*)::int from subtasks s where s.worker_id = w.id and s.status = 'processing'",
    why: "The page System shows what each worker draws.",
  },
  {
    name: "running cells by task",
    file: "db/views/events.ts",
    part: "select parent_task_id, count(*)::int as running from subtasks where status = 'processing'",
    why:
      "Live views show what runs; one read for all of a process's streams, by the index of processing cells.",
  },
  {
    name: "raters",
    file: "db/views/activity.ts",
    part: "from ratings r left join users u on u.id = r.rater_id where r.updated_at >",
    why: "The list of runs shows who rates now; by an index on the time.",
  },
  {
    name: "dead letters",
    file: "db/queue/attempts.ts",
    part:
      "s.attempt, s.completed_at as failed_at from subtasks s join tasks t on t.id = s.parent_task_id where",
    why: "An operator looks at failed cells of all tasks, newest first; by an index on the time.",
  },
  {
    name: "causes of dead letters",
    file: "db/queue/attempts.ts",
    part: "select failure_cause(s.error) as cause, count(*)::int as cells from subtasks s join tasks t",
    why: "An operator counts failed cells of all tasks.",
  },
  {
    name: "replay of dead letters",
    file: "db/queue/attempts.ts",
    part: "select s.parent_task_id as task_id from subtasks s join tasks t on t.id = s.parent_task_id where",
    why: "An operator repeats failed cells of all tasks; each task is then repeated by its key.",
  },
  {
    name: "drawn fingerprints",
    file: "db/queue/pace.ts",
    part: "from subtasks s join tasks t on t.id = s.parent_task_id where s.fingerprint = any(",
    why: "A plan tells which images exist already in any task; by the index of fingerprints.",
  },
  {
    name: "favourites of a user",
    file: "db/schema.sql",
    part: 'DELETE FROM "public"."favourites" WHERE $1 OPERATOR(pg_catalog.=) "user_id"',
    why: "The foreign key removes the favourites of a deleted user; rare.",
  },
];
