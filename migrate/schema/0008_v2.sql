-- What v2 needs beside the images: sessions, keys of repeated requests, shares, webhooks.

alter table users
  -- Tokens of an older number are no good: it grows with a new password and with signing out everywhere.
  add column token_version integer not null default 0;

-- A sign-in; its refresh token is renewed with each use.
create table sessions (
  id uuid not null default gen_random_uuid(),
  user_id uuid not null,
  -- SHA-256 of the token that is good now, and of the one before it, which used again ends the session.
  token_hash bytea not null,
  previous_hash bytea,
  rotated_at timestamptz(3) not null default now(),
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  ended_at timestamptz(3),
  end_reason text,
  -- What the browser calls itself.
  client text not null default '',
  constraint sessions_pkey primary key (id),
  constraint sessions_token_hash_key unique (token_hash),
  constraint sessions_user_fkey foreign key (user_id) references users (id) on delete cascade,
  constraint sessions_end_with_reason check ((ended_at is null) = (end_reason is null))
);
-- A token that was renewed already is looked for among the older ones.
create index sessions_previous_idx on sessions (previous_hash) where previous_hash is not null;
-- A user's sessions.
create index sessions_user_idx on sessions (user_id);

-- Answers of requests that bring a key: written in the transaction that does what they ask for.
create table idempotency_keys (
  -- A user's id, or a share's.
  principal_id uuid not null,
  key text not null,
  -- Of method, path and body: another request under the same key is refused.
  request_hash bytea not null,
  status integer not null,
  headers json not null,
  body text not null,
  created_at timestamptz(3) not null default now(),
  constraint idempotency_keys_pkey primary key (principal_id, key)
);
-- Old ones are forgotten.
create index idempotency_keys_created_idx on idempotency_keys (created_at);

-- A link to one task for who has no account.
create table shares (
  id uuid not null default gen_random_uuid(),
  task_id uuid not null,
  token_hash bytea not null,
  label text not null default '',
  mode text not null,
  blind boolean not null default false,
  created_by uuid not null,
  created_at timestamptz(3) not null default now(),
  expires_at timestamptz(3) not null,
  revoked_at timestamptz(3),
  constraint shares_pkey primary key (id),
  constraint shares_token_hash_key unique (token_hash),
  constraint shares_task_fkey foreign key (task_id) references tasks (id) on delete cascade,
  constraint shares_mode_known check (mode in ('read', 'rate'))
);
-- The shares of a task.
create index shares_task_idx on shares (task_id);

create table webhooks (
  id uuid not null default gen_random_uuid(),
  task_id uuid not null,
  url text not null,
  -- Signs what is sent (HMAC-SHA-256).
  secret text not null,
  events text[] not null,
  created_by uuid not null,
  created_at timestamptz(3) not null default now(),
  constraint webhooks_pkey primary key (id),
  constraint webhooks_task_fkey foreign key (task_id) references tasks (id) on delete cascade,
  constraint webhooks_events_known check (events <@ '{submitted,completed,partial,failed,held}' and events <> '{}')
);
-- Who is told of a task's events.
create index webhooks_task_idx on webhooks (task_id);

-- One a webhook and event; rows are made with the notice that they follow.
create table deliveries (
  id bigint generated always as identity,
  webhook_id uuid not null,
  event text not null,
  created_at timestamptz(3) not null default now(),
  due_at timestamptz(3) not null default now(),
  tries integer not null default 0,
  -- Arrived, or given up.
  closed_at timestamptz(3),
  status integer,
  error text,
  constraint deliveries_pkey primary key (id),
  constraint deliveries_webhook_fkey foreign key (webhook_id) references webhooks (id) on delete cascade
);
-- What is to be sent, oldest first.
create index deliveries_due_idx on deliveries (due_at) where closed_at is null;
-- The log of a webhook.
create index deliveries_webhook_idx on deliveries (webhook_id, id desc);

create function fan_out_notices() returns trigger
language plpgsql
set search_path from current
as $$
begin
  insert into deliveries (webhook_id, event)
  select w.id, n.kind from fresh n join webhooks w on w.task_id = n.task_id and n.kind = any(w.events);
  return null;
end
$$;
create trigger outbox_fan_out after insert on outbox referencing new table as fresh
  for each statement execute function fan_out_notices();
