-- The ledger of a migration: for each range of a source
-- documents = exact + adjusted + quarantined + excluded, and each exception has a row that says why.

-- A source is known by the digest of its content, so the same dump under another path is the same source.
create table migration.sources (
  fingerprint text not null,
  kind text not null,
  location text not null,
  planned_at timestamptz(3) not null default now(),
  -- The tasks' counters are set: the load is over.
  settled_at timestamptz(3),
  constraint sources_pkey primary key (fingerprint)
);

create table migration.runs (
  id bigint generated always as identity,
  fingerprint text not null,
  state text not null default 'running',
  started_at timestamptz(3) not null default now(),
  ended_at timestamptz(3),
  note text,
  constraint runs_pkey primary key (id),
  constraint runs_fingerprint_fkey foreign key (fingerprint) references migration.sources (fingerprint),
  constraint runs_state_known check (state in ('running', 'done', 'stopped', 'failed')),
  constraint runs_ended_at_with_end check ((ended_at is null) = (state = 'running'))
);

-- What one transaction carries over. Bounds are bytes of a file, or what the source cuts by.
create table migration.ranges (
  fingerprint text not null,
  collection text not null,
  number integer not null,
  lower_bound text not null,
  upper_bound text not null,
  -- Position (line number, from 1) of the first document.
  first_position bigint not null,
  documents integer not null,
  bytes bigint not null,
  state text not null default 'planned',
  exact integer not null default 0,
  adjusted integer not null default 0,
  quarantined integer not null default 0,
  excluded integer not null default 0,
  -- SHA-256 of the rows as COPY text, in hex.
  digest text,
  run_id bigint,
  done_at timestamptz(3),
  constraint ranges_pkey primary key (fingerprint, collection, number),
  constraint ranges_fingerprint_fkey foreign key (fingerprint) references migration.sources (fingerprint),
  constraint ranges_state_known check (state in ('planned', 'done')),
  constraint ranges_done_at_with_end check ((done_at is not null) = (state = 'done'))
);

-- A document that has no row, with the bytes it came as.
create table migration.quarantine (
  id bigint generated always as identity,
  fingerprint text not null,
  collection text not null,
  range_number integer not null,
  position bigint not null,
  -- Canonical Extended JSON of `_id`.
  document_id text not null,
  reason text not null,
  path text not null,
  detail text not null,
  original bytea not null,
  attempts integer not null default 1,
  first_at timestamptz(3) not null default now(),
  constraint quarantine_pkey primary key (id),
  constraint quarantine_position_key unique (fingerprint, collection, position)
);

-- status and verify: what of a range has no row
create index quarantine_range_idx on migration.quarantine (fingerprint, collection, range_number);

-- A document left out by a named rule: 'already_present' has its row from an earlier source.
create table migration.exclusions (
  fingerprint text not null,
  collection text not null,
  range_number integer not null,
  position bigint not null,
  document_id text not null,
  rule text not null,
  constraint exclusions_pkey primary key (fingerprint, collection, position)
);

-- Where a column says less or other than the document did; the document's own value is in `extra`.
create table migration.adjustments (
  fingerprint text not null,
  collection text not null,
  range_number integer not null,
  position bigint not null,
  row_id uuid not null,
  rule text not null,
  path text not null
);

-- status: adjusted documents of a range
create index adjustments_range_idx on migration.adjustments (fingerprint, collection, range_number);

-- The bytes of a document that its row alone cannot give back.
create table migration.originals (
  fingerprint text not null,
  collection text not null,
  range_number integer not null,
  position bigint not null,
  row_id uuid not null,
  original bytea not null,
  constraint originals_pkey primary key (fingerprint, collection, position)
);

-- verify: the original of a row
create index originals_row_id_idx on migration.originals (row_id);

create table migration.verifications (
  id bigint generated always as identity,
  fingerprint text not null,
  started_at timestamptz(3) not null default now(),
  ended_at timestamptz(3),
  documents bigint not null default 0,
  rows bigint not null default 0,
  differences bigint not null default 0,
  verdict text,
  constraint verifications_pkey primary key (id),
  constraint verifications_verdict_known check (verdict in ('equal', 'different'))
);

-- At most the first thousand of a verification are kept.
create table migration.differences (
  verification_id bigint not null,
  collection text not null,
  document_id text not null,
  kind text not null,
  path text not null,
  source_value text,
  row_value text,
  constraint differences_verification_id_fkey foreign key (verification_id)
    references migration.verifications (id) on delete cascade
);

-- the differences of one verification
create index differences_verification_id_idx on migration.differences (verification_id);
