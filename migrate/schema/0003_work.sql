-- What the queue keeps beside the plan's tables: who works, who leads, how many slots, what is to be told.

-- The order of dispatch inside a task: every value of every axis early. Null for a row that was brought over.
alter table subtasks add column spread integer;
-- A cancelled task whose pending cells are still being swept.
alter table tasks add column cancelling boolean not null default false;

drop index subtasks_pending_idx;
-- feed, scaler, cancel: what of a task is still to be drawn, in the order it should be
create index subtasks_pending_idx on subtasks (parent_task_id, queue, spread) where status = 'pending';
-- feed: tasks that may have something to dispatch
create index tasks_open_idx on tasks (priority desc, created_at)
  where status in ('pending', 'processing') and hold is null and not is_deleted;
-- reconcile: cancelled tasks that still have pending cells
create index tasks_cancelling_idx on tasks (id) where cancelling;

-- One row a living worker; its id is new at every start, so a row that is gone was declared dead.
create table workers (
  id text not null,
  host text not null,
  pid integer not null,
  queues text[] not null,
  -- Room for attempts by queue: the worker never has more under way, and takes more only from what nobody has.
  slots jsonb not null default '{}',
  -- How the image API has answered since the worker began, by backend.
  health jsonb not null default '{}',
  started_at timestamptz(3) not null default now(),
  heartbeat_at timestamptz(3) not null default now(),
  constraint workers_pkey primary key (id)
);

-- Who leads: a row with terms that runs out by the database's clock, not a lock that a dead process can hold.
create table leaders (
  role text not null,
  holder text not null,
  term bigint not null default 1,
  since timestamptz(3) not null default now(),
  lease_until timestamptz(3) not null,
  constraint leaders_pkey primary key (role)
);

-- How many attempts of a queue may run at once over all workers, as the scaler last decided; `wanted` is what the
-- backlog alone would have, before health, overrides by hand and lending between queues.
create table queue_slots (
  queue text not null,
  slots integer not null,
  wanted integer not null,
  reason text not null,
  changed_at timestamptz(3) not null default now(),
  constraint queue_slots_pkey primary key (queue),
  constraint queue_slots_queue_known check (queue in ('high', 'standard', 'lumina')),
  constraint queue_slots_range check (slots between 0 and 10000)
);

-- Every change of `queue_slots.slots`.
create table slot_changes (
  id bigint generated always as identity,
  queue text not null,
  slots_before integer not null,
  slots_after integer not null,
  reason text not null,
  changed_at timestamptz(3) not null default now(),
  constraint slot_changes_pkey primary key (id)
);
-- the latest changes of a queue
create index slot_changes_queue_idx on slot_changes (queue, id desc);

-- Slots set by hand, until they expire.
create table slot_overrides (
  queue text not null,
  slots integer not null,
  reason text not null,
  made_by text not null,
  made_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  constraint slot_overrides_pkey primary key (queue),
  constraint slot_overrides_queue_known check (queue in ('high', 'standard', 'lumina')),
  constraint slot_overrides_range check (slots between 0 and 10000)
);

-- Notices to be sent: written in the transaction of what they tell, sent afterwards.
create table outbox (
  id bigint generated always as identity,
  task_id uuid not null,
  kind text not null,
  -- Of a submission: what its create call answered as total_images.
  images_expected integer,
  created_at timestamptz(3) not null default now(),
  due_at timestamptz(3) not null default now(),
  tries integer not null default 0,
  -- Hashes of the addresses that have it already.
  delivered text[] not null default '{}',
  closed_at timestamptz(3),
  error text,
  constraint outbox_pkey primary key (id),
  constraint outbox_task_id_fkey foreign key (task_id) references tasks (id) on delete cascade,
  -- a task is told of once for each kind
  constraint outbox_task_id_kind_key unique (task_id, kind),
  constraint outbox_kind_known check (kind in ('submitted', 'completed', 'partial', 'failed'))
);
-- sender: what is due
create index outbox_due_idx on outbox (due_at) where closed_at is null;
