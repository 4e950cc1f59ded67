-- What became of attempts that did not succeed at once, and what people may do about them.

-- Why a subtask failed, so that equal causes have equal texts: its `error` without the count of attempts in front, and
-- without what is another in every answer (ids, addresses, long numbers).
create function failure_cause(error text) returns text
language sql immutable parallel safe
return coalesce(
  nullif(
    left(
      btrim(
        regexp_replace(
          regexp_replace(error, '^\s*(已尝试 [0-9]+ 次|第 [0-9]+ 次尝试失败)[:：]\s*', ''),
          'https?://[^[:space:]]+|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{16,}|[0-9]{4,}',
          '…',
          'g'
        )
      ),
      200
    ),
    ''
  ),
  'unknown'
);

-- How many workers were lost while they held a subtask: what takes its workers down is not tried for ever.
alter table subtasks add column losses smallint not null default 0;
-- Somebody let a task go on that the canary had held: it is not held again.
alter table tasks add column canary_lifted boolean not null default false;

-- One row an attempt that failed or was lost, and the success that followed one. A subtask that succeeded at once has
-- none: its own row says all of it.
create table attempts (
  task_id uuid not null,
  subtask_id uuid not null,
  attempt integer not null,
  worker_id text,
  started_at timestamptz(3),
  ended_at timestamptz(3) not null default now(),
  outcome text not null,
  reason text,
  remote_id text,
  -- Of an image that a re-run put away, and what people had said of it.
  image_url text,
  rating smallint,
  evaluate text[],
  -- an attempt is noted once, also when the same write is sent twice
  constraint attempts_pkey primary key (task_id, subtask_id, attempt),
  constraint attempts_subtask_fkey foreign key (task_id, subtask_id)
    references subtasks (parent_task_id, id) on delete cascade,
  constraint attempts_outcome_known check (outcome in ('done', 'timeout', 'illegal', 'error', 'lost'))
);

-- retry failed, canary, dead letters of one task
create index subtasks_failed_idx on subtasks (parent_task_id) where status = 'failed';
-- dead letters of all tasks, newest first
create index subtasks_dead_idx on subtasks (completed_at desc, id) where status = 'failed';

alter table outbox drop constraint outbox_kind_known;
alter table outbox add constraint outbox_kind_known
  check (kind in ('submitted', 'completed', 'partial', 'failed', 'held'));
