-- What was done to imported rows after their load: repairs with their way back, and quarantined documents that got
-- a row later.

-- One change of one row. Rows are COPY text of the lens's columns; null where there was or is none. For action
-- `original` they are the kept bytes in base64.
create table migration.repairs (
  id bigint generated always as identity,
  -- Digest of the plan it belongs to: undone as a whole.
  plan text not null,
  at timestamptz(3) not null default now(),
  action text not null,
  fingerprint text not null,
  collection text not null,
  document_id text not null,
  row_id uuid,
  parent_id uuid,
  before_row text,
  after_row text,
  undone_at timestamptz(3),
  constraint repairs_pkey primary key (id),
  constraint repairs_action_known check (action in ('insert', 'update', 'delete', 'original'))
);

-- undo: the changes of one plan
create index repairs_plan_idx on migration.repairs (plan);

create table migration.replays (
  fingerprint text not null,
  collection text not null,
  position bigint not null,
  document_id text not null,
  -- Why it was in quarantine before.
  reason text not null,
  path text not null,
  attempts integer not null,
  -- Null for a document whose row was there by then.
  row_id uuid,
  at timestamptz(3) not null default now(),
  constraint replays_pkey primary key (fingerprint, collection, position)
);
