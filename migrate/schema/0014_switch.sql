-- The switch from the old backend to this system: which of them answers v1, who knows that, and how the switch went.

-- The phase of the traffic: one row. Processes of the API learn of a change by NOTIFY and by a look each second.
create table migration.traffic (
  id integer not null default 1,
  phase text not null default 'old',
  -- Percentage of users whose reads this system answers in phase 'canary'.
  share integer not null default 0,
  -- Raised by each change. Processes acknowledge the number that they work by.
  version bigint not null default 1,
  -- The phase to which 'holding' returns by itself after `hold_until`, unless the switch has been made.
  phase_before text,
  hold_until timestamptz(3),
  changed_at timestamptz(3) not null default now(),
  changed_by text not null default 'installation',
  reason text not null default '',
  constraint traffic_pkey primary key (id),
  constraint traffic_single check (id = 1),
  constraint traffic_phase_known check (phase in ('old', 'shadow', 'canary', 'holding', 'new')),
  constraint traffic_share_range check (share between 0 and 100),
  constraint traffic_hold check (
    (phase = 'holding') = (hold_until is not null) and (phase = 'holding') = (phase_before is not null)
  ),
  constraint traffic_before_known check (phase_before in ('old', 'shadow', 'canary', 'new'))
);

insert into migration.traffic default values;

-- Every change of the phase.
create table migration.traffic_changes (
  version bigint not null,
  at timestamptz(3) not null default now(),
  changed_by text not null,
  phase_before text not null,
  phase_after text not null,
  share_before integer not null,
  share_after integer not null,
  reason text not null,
  -- Whether a check of the order was overridden.
  forced boolean not null default false,
  constraint traffic_changes_pkey primary key (version)
);

-- One row for each API process that stands before both systems. A process that has not been seen for 2 s has stopped
-- to serve writes by itself.
create table migration.front_processes (
  id text not null,
  host text not null,
  pid integer not null,
  -- Version of the product, and whether its SECRET_KEY is that of the others (a digest).
  product text not null,
  key_digest text not null,
  -- Number of the change that it works by, and its writes that the old backend has not answered yet.
  acknowledged bigint not null,
  writes_in_flight integer not null default 0,
  writes_held integer not null default 0,
  started_at timestamptz(3) not null default now(),
  seen_at timestamptz(3) not null default now(),
  constraint front_processes_pkey primary key (id)
);

-- The last write of a user through the front: their reads go to the old backend until it is applied here.
create table migration.front_writes (
  user_key text not null,
  at timestamptz(3) not null default now(),
  constraint front_writes_pkey primary key (user_key)
);

-- Answers of both systems that differ, by route, place and cause, with a sample.
create table migration.shadow_differences (
  route text not null,
  path text not null,
  cause text not null,
  rule text not null,
  answers bigint not null default 1,
  first_at timestamptz(3) not null default now(),
  last_at timestamptz(3) not null default now(),
  sample_target text not null,
  sample_old text,
  sample_new text,
  constraint shadow_differences_pkey primary key (route, path, cause, rule),
  constraint shadow_differences_cause_known check (cause in ('lag', 'data', 'code', 'noise', 'intended'))
);

-- Compared answers by hour, so that the share of equal ones can be told.
create table migration.shadow_answers (
  hour timestamptz(3) not null,
  compared bigint not null default 0,
  equal bigint not null default 0,
  constraint shadow_answers_pkey primary key (hour)
);

-- Rehearsals, cut-overs and rollbacks.
create table migration.cutovers (
  id bigint generated always as identity,
  kind text not null,
  state text not null default 'running',
  started_by text not null,
  started_at timestamptz(3) not null default now(),
  ended_at timestamptz(3),
  -- Milliseconds for which writes were held, as predicted and as measured.
  pause_predicted_ms integer,
  pause_ms integer,
  note text,
  -- What the operator decided, so that `--continue` does the same.
  options json not null default '{}',
  constraint cutovers_pkey primary key (id),
  constraint cutovers_kind_known check (kind in ('rehearsal', 'cutover', 'rollback')),
  constraint cutovers_state_known check (state in ('running', 'done', 'undone', 'failed')),
  constraint cutovers_ended_at_with_end check ((ended_at is null) = (state = 'running'))
);

-- At most one at a time.
create unique index cutovers_running_idx on migration.cutovers ((true)) where state = 'running';

-- The steps of one of them: written before and after each.
create table migration.cutover_steps (
  cutover_id bigint not null,
  number integer not null,
  step text not null,
  began_at timestamptz(3) not null default now(),
  ended_at timestamptz(3),
  outcome text,
  detail json,
  undone_at timestamptz(3),
  constraint cutover_steps_pkey primary key (cutover_id, number),
  constraint cutover_steps_cutover_id_fkey foreign key (cutover_id) references migration.cutovers (id) on delete cascade,
  constraint cutover_steps_outcome_known check (outcome in ('done', 'failed', 'skipped'))
);

-- What an operator confirmed or acknowledged: quarantined documents by name, a stopped executor, a switched proxy.
create table migration.decisions (
  name text not null,
  value json not null,
  decided_by text not null,
  decided_at timestamptz(3) not null default now(),
  constraint decisions_pkey primary key (name)
);

-- When the applied changes were last a second or more behind the source, or no sync told how far they were. A cut-over
-- wants this to be a minute ago.
alter table migration.follows add column behind_at timestamptz(3) not null default now();
