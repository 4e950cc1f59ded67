-- The plan's three tables. Client JSON is `json`, not `jsonb`: key order, `1.0` and long integers survive.
-- `legacy_id` is the ObjectId of the old backend; a row born here gets one too, so the way back stays open.
-- `generation` names the shape of the document a row came from (null: born here); `extra` is canonical
-- Extended JSON of what that document held and no column can say.

-- 4 bytes of seconds and 8 random ones: the layout of a MongoDB ObjectId.
create function new_legacy_id() returns text
language sql volatile parallel safe
as $$
  select lpad(to_hex(extract(epoch from clock_timestamp())::bigint), 8, '0')
    || encode(substr(uuid_send(gen_random_uuid()), 9, 8), 'hex')
$$;

create table users (
  id uuid not null default gen_random_uuid(),
  legacy_id text collate "C" not null default new_legacy_id(),
  email text collate "C" not null,
  hashed_password text not null,
  fullname text,
  roles text[] not null default '{user}',
  is_active boolean not null default true,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  generation text,
  extra json,
  constraint users_pkey primary key (id),
  -- v1 paths take the legacy id
  constraint users_legacy_id_key unique (legacy_id),
  -- sign-in and every token check: where email = $1
  constraint users_email_key unique (email),
  constraint users_legacy_id_hex check (legacy_id ~ '^[0-9a-f]{24}$'),
  constraint users_roles_known check (roles <@ '{admin,manager,user,guest}'::text[])
);

create table tasks (
  id uuid not null default gen_random_uuid(),
  legacy_id text collate "C" not null default new_legacy_id(),
  task_name text not null,
  username text collate "C" not null,
  owner_id uuid,
  tags json not null,
  variables json not null,
  settings json not null,
  status text not null default 'pending',
  error text,
  total_images integer not null default 0,
  all_subtasks_completed boolean not null default false,
  is_deleted boolean not null default false,
  priority integer not null default 1,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  started_at timestamptz(3),
  completed_at timestamptz(3),
  -- Counters move in the statement that moves the subtasks they count.
  subtasks_total integer not null default 0,
  subtasks_completed integer not null default 0,
  subtasks_failed integer not null default 0,
  subtasks_cancelled integer not null default 0,
  -- Grows with each batch of changes: ETags and live views read it.
  revision bigint not null default 1,
  -- Why nothing of this task is dispatched: null dispatches.
  hold text,
  hold_reason text,
  generation text,
  extra json,
  constraint tasks_pkey primary key (id),
  constraint tasks_legacy_id_key unique (legacy_id),
  constraint tasks_owner_id_fkey foreign key (owner_id) references users (id) on delete set null,
  constraint tasks_legacy_id_hex check (legacy_id ~ '^[0-9a-f]{24}$'),
  constraint tasks_status_known check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled')),
  constraint tasks_completed_at_with_end
    check ((completed_at is not null) = (status in ('completed', 'failed', 'cancelled'))),
  constraint tasks_hold_known check (hold in ('import', 'pause', 'canary')),
  constraint tasks_counters_within_total check (
    subtasks_completed >= 0 and subtasks_failed >= 0 and subtasks_cancelled >= 0
    and subtasks_completed + subtasks_failed + subtasks_cancelled <= subtasks_total
  )
);

-- GET /tasks: newest first, deleted ones left out
create index tasks_newest_idx on tasks (created_at desc, id desc) where not is_deleted;
-- GET /tasks?username=: exact, newest first
create index tasks_username_newest_idx on tasks (username, created_at desc, id desc) where not is_deleted;
-- on delete set null, and the fair share per user
create index tasks_owner_id_idx on tasks (owner_id);

create table subtasks (
  parent_task_id uuid not null,
  id uuid not null default gen_random_uuid(),
  legacy_id text collate "C" not null default new_legacy_id(),
  -- Place in the matrix, row-major, from 0; null where a document did not tell.
  cell integer,
  variable_indices integer[],
  variable_types_map json,
  type_to_variable json,
  status text not null default 'pending',
  result json,
  error text,
  retry_count integer not null default 0,
  prompts json,
  ratio text,
  seed bigint,
  use_polish boolean not null default false,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  rating smallint,
  evaluate text[],
  image_url text,
  queue text not null default 'standard',
  client_args json,
  attempt integer not null default 0,
  lease_id bigint,
  worker_id text,
  -- Written just before the POST that costs money, and what it answered.
  intent_at timestamptz(3),
  remote_id text,
  -- Not before this moment: a retry that waits.
  run_after timestamptz(3),
  started_at timestamptz(3),
  completed_at timestamptz(3),
  generation text,
  extra json,
  constraint subtasks_pkey primary key (parent_task_id, id),
  constraint subtasks_parent_task_id_fkey foreign key (parent_task_id) references tasks (id) on delete cascade,
  constraint subtasks_legacy_id_hex check (legacy_id ~ '^[0-9a-f]{24}$'),
  constraint subtasks_status_known
    check (status in ('pending', 'processing', 'completed', 'failed', 'cancelled')),
  constraint subtasks_queue_known check (queue in ('high', 'standard', 'lumina')),
  constraint subtasks_rating_range check (rating between 1 and 5),
  constraint subtasks_completed_at_with_end
    check ((completed_at is not null) = (status in ('completed', 'failed', 'cancelled'))),
  constraint subtasks_lease_only_while_processing
    check (lease_id is null or (status = 'processing' and worker_id is not null and started_at is not null))
);

-- GET /tasks/{id} and /matrix: a task's subtasks in the order they were made
create index subtasks_order_idx on subtasks (parent_task_id, legacy_id);
-- feed: what of a task is still to be drawn
create index subtasks_pending_idx on subtasks (parent_task_id, cell) where status = 'pending';
-- reconcile: what a worker holds
create index subtasks_held_idx on subtasks (worker_id) where status = 'processing';

-- Lease numbers: each claim takes the next, every later write of the attempt carries it.
create sequence lease_ids;
