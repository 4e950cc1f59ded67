-- Following a MongoDB that keeps changing, and the way back: the position, the copy, documents that wait, gaps, and
-- the keys of the rows that this system has changed.

-- The followed source. A target follows one source at a time. `sync` writes the position in the transaction that
-- applies its changes.
create table migration.follows (
  id integer not null default 1,
  -- Of migration.sources. Ledger entries of followed documents carry it.
  fingerprint text not null,
  -- Identity of the server and its collections, as text. Another identity means another database.
  source_identity text not null,
  mode text not null,
  state text not null default 'copying',
  -- Why an operator must act, in state 'stopped'.
  stop_reason text,
  -- Resume token as canonical Extended JSON; null while polling.
  resume_token text,
  -- Cluster time up to which all changes are applied: seconds * 2^32 + increment. While polling, the server's clock.
  position bigint,
  position_at timestamptz(3),
  -- Newest cluster time that the source reported when the position was written.
  source_at timestamptz(3),
  -- Time back to which the oplog reaches when it is full, and when that was measured. Without writes elsewhere it moves
  -- with the time.
  oplog_from timestamptz(3),
  oplog_read_at timestamptz(3),
  -- How far the applied changes were behind the source when the position was written, in milliseconds.
  lag_ms double precision,
  applied_at timestamptz(3) not null default now(),
  -- Totals since the start: events read, documents applied.
  events bigint not null default 0,
  documents bigint not null default 0,
  -- Rates of the running process, over its last report.
  events_per_second double precision not null default 0,
  documents_per_second double precision not null default 0,
  started_at timestamptz(3) not null default now(),
  copied_at timestamptz(3),
  constraint follows_pkey primary key (id),
  constraint follows_single check (id = 1),
  constraint follows_fingerprint_fkey foreign key (fingerprint) references migration.sources (fingerprint),
  constraint follows_mode_known check (mode in ('stream', 'poll')),
  constraint follows_state_known check (state in ('copying', 'following', 'gap', 'stopped', 'ended')),
  constraint follows_stop_reason_with_stop check ((stop_reason is not null) = (state = 'stopped'))
);

-- Ranges of `_id` that the first copy reads. Bounds are texts that only the source interprets.
create table migration.follow_ranges (
  collection text not null,
  number integer not null,
  lower_bound text not null,
  upper_bound text not null,
  documents integer,
  done_at timestamptz(3),
  constraint follow_ranges_pkey primary key (collection, number)
);

-- Documents that get a row later: a subtask whose task is not there yet, or a document whose unique key another row
-- holds for the moment.
create table migration.waiting (
  collection text not null,
  -- Canonical Extended JSON of `_id`.
  document_id text not null,
  reason text not null,
  path text not null,
  detail text not null,
  -- The missing task's name, or the unique key that is taken, as JSON: a retry can succeed when it has changed.
  awaited text not null,
  original bytea not null,
  -- The row of its last accepted version is kept.
  has_row boolean not null default false,
  attempts integer not null default 1,
  first_at timestamptz(3) not null default now(),
  constraint waiting_pkey primary key (collection, document_id),
  constraint waiting_reason_known check (reason in ('orphan', 'duplicate_email', 'duplicate_id'))
);

-- sync: documents that wait for a key of this batch
create index waiting_awaited_idx on migration.waiting (collection, awaited);

-- Times when the position was lost. Both sides were compared afterwards.
create table migration.gaps (
  id bigint generated always as identity,
  found_at timestamptz(3) not null default now(),
  reason text not null,
  -- The position that was lost, and the new one.
  lost_at timestamptz(3),
  resumed_at timestamptz(3),
  compared bigint,
  -- Documents that were read in full and applied.
  applied bigint,
  healed_at timestamptz(3),
  constraint gaps_pkey primary key (id)
);

-- Entries of followed documents are found by `_id`; entries of loaded sources by position.
create sequence migration.live_positions;
alter table migration.adjustments add column document_id text;
alter table migration.originals add column document_id text;
-- sync: entries of the documents of a batch
create index adjustments_document_id_idx on migration.adjustments (collection, document_id)
  where document_id is not null;
create index originals_document_id_idx on migration.originals (collection, document_id)
  where document_id is not null;
create index quarantine_document_id_idx on migration.quarantine (collection, document_id);
-- A followed document that was accepted before and is rejected now keeps the row of its last accepted version.
alter table migration.quarantine add column has_row boolean not null default false;
-- A source that was loaded and is followed now: its ledger was replaced by that of the followed source.
alter table migration.sources add column superseded_at timestamptz(3);

-- Verifications while both sides change.
create table migration.live_verifications (
  id bigint generated always as identity,
  -- Of migration.follows.
  fingerprint text not null,
  started_at timestamptz(3) not null default now(),
  ended_at timestamptz(3),
  documents bigint not null default 0,
  -- Rows that were compared with their documents.
  rows bigint not null default 0,
  quarantined bigint not null default 0,
  waiting bigint not null default 0,
  -- Documents that differed when they were first compared.
  rechecked bigint not null default 0,
  -- Documents that had changed again at each of their comparisons.
  changing bigint not null default 0,
  differences bigint not null default 0,
  verdict text,
  constraint live_verifications_pkey primary key (id),
  constraint live_verifications_fingerprint_fkey foreign key (fingerprint) references migration.sources (fingerprint),
  constraint live_verifications_verdict_known check (verdict in ('equal', 'different'))
);

-- How far a verification has come, for each collection.
create table migration.live_checkpoints (
  verification_id bigint not null,
  collection text not null,
  -- Last `_id` that was compared, as text that only the source interprets.
  bound text not null,
  -- `legacy_id` up to which the rows were compared. Documents whose `_id` is no ObjectId have another order.
  rows_bound text not null,
  documents bigint not null default 0,
  done boolean not null default false,
  constraint live_checkpoints_pkey primary key (verification_id, collection),
  constraint live_checkpoints_verification_id_fkey foreign key (verification_id)
    references migration.live_verifications (id) on delete cascade
);

-- Documents that differed from their rows or ledger entries when they were compared, until a later comparison finds
-- them equal. After three comparisons that found both sides unchanged, a document counts as different.
create table migration.rechecks (
  verification_id bigint not null,
  collection text not null,
  document_id text not null,
  -- `{_id: …}` as BSON.
  document_key bytea not null,
  -- Digest of both sides as they were compared.
  version text not null,
  -- List of differences with kind, path, source_value, row_value and cause.
  differences json not null,
  comparisons integer not null default 1,
  -- How often one of the sides had changed when they were compared again.
  changes integer not null default 0,
  -- Cluster time after both sides had been read.
  seen_position bigint not null,
  first_seen_at timestamptz(3) not null default now(),
  seen_at timestamptz(3) not null default now(),
  constraint rechecks_pkey primary key (verification_id, collection, document_id),
  constraint rechecks_verification_id_fkey foreign key (verification_id)
    references migration.live_verifications (id) on delete cascade
);

-- Keys of the rows that this system has changed, for the way back. Triggers write them; `back` deletes them after
-- MongoDB has confirmed the documents. Several changes of one row may have one entry each.
create table migration.changes (
  number bigint generated always as identity,
  collection text not null,
  -- Task of a subtask; null for users and tasks.
  parent_id uuid,
  row_id uuid not null,
  -- `_id` as canonical Extended JSON, for rows that were deleted; null otherwise.
  deleted_id text,
  at timestamptz(3) not null default now(),
  constraint changes_pkey primary key (number)
);

-- State of the way back: one row, written with each batch that MongoDB has confirmed.
create table migration.backs (
  id integer not null default 1,
  target_identity text not null,
  state text not null,
  stop_reason text,
  -- Time of the newest change that MongoDB has.
  position_at timestamptz(3),
  documents bigint not null default 0,
  started_at timestamptz(3) not null default now(),
  applied_at timestamptz(3) not null default now(),
  constraint backs_pkey primary key (id),
  constraint backs_single check (id = 1),
  constraint backs_state_known check (state in ('running', 'stopped', 'ended'))
);
