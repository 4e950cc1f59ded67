-- What people say of images: ratings, evaluations, votes; and how v2 addresses cells.

alter table tasks
  -- How cells without a seed of their own get one; per_cell is what v1 always did.
  add column seed_policy text not null default 'per_cell'
    constraint tasks_seed_policy_known check (seed_policy in ('shared', 'per_combination', 'per_cell', 'pinned')),
  -- {"v0":"treatment","v1":"content","v2":"replicate"}: what each axis is for.
  add column axis_roles json,
  -- Others' ratings of an image are shown to a rater who has rated it, not before.
  add column blind boolean not null default false,
  -- Whether the cells of a task that was brought over have their places; those made here are born with them.
  add column cells_numbered boolean not null default false;

alter table subtasks
  -- Of the image that the cell has now; rating is the mean, rounded.
  add column rating_n integer not null default 0,
  add column rating_sum integer not null default 0,
  -- What the image API is asked for, seed included, where a task says how its seeds come about.
  add column fingerprint uuid,
  -- The task's revision as of the cell's last change that others are told of.
  add column revision bigint not null default 0,
  add constraint subtasks_ratings_add_up check (rating_n >= 0 and rating_sum between rating_n and 5 * rating_n);

-- v2 names a cell by its place in the matrix.
create unique index subtasks_cell_idx on subtasks (parent_task_id, cell) where cell is not null;
-- A plan counts the cells for which there is an image already.
create index subtasks_fingerprint_idx on subtasks (fingerprint) where fingerprint is not null and status = 'completed';

-- One of a rater and an image. `version` is the attempt that made the image. Raters that have gone keep what they said.
create table ratings (
  task_id uuid not null,
  subtask_id uuid not null,
  version integer not null,
  -- A user's id, or a share's.
  rater_id uuid not null,
  stars smallint,
  -- Why it was not rated.
  skipped text,
  -- Whether the rater saw neither the axes nor what others said.
  blind boolean not null default false,
  took_ms integer,
  created_at timestamptz(3) not null default now(),
  updated_at timestamptz(3) not null default now(),
  constraint ratings_pkey primary key (task_id, subtask_id, version, rater_id),
  constraint ratings_subtask_fkey foreign key (task_id, subtask_id)
    references subtasks (parent_task_id, id) on delete cascade,
  constraint ratings_stars_range check (stars between 1 and 5),
  constraint ratings_stars_or_skipped check ((stars is null) = (skipped is not null)),
  constraint ratings_took_ms_range check (took_ms between 0 and 86400000)
);

-- Each rating as it was before a change, and what was cleared.
create table rating_history (
  id bigint generated always as identity,
  task_id uuid not null,
  subtask_id uuid not null,
  version integer not null,
  rater_id uuid not null,
  action text not null,
  stars smallint,
  skipped text,
  at timestamptz(3) not null default now(),
  constraint rating_history_pkey primary key (id),
  constraint rating_history_subtask_fkey foreign key (task_id, subtask_id)
    references subtasks (parent_task_id, id) on delete cascade,
  constraint rating_history_action_known check (action in ('rated', 'changed', 'cleared'))
);
-- The history of a cell, oldest first.
create index rating_history_cell_idx on rating_history (task_id, subtask_id, id);

create table evaluations (
  id uuid not null default gen_random_uuid(),
  task_id uuid not null,
  subtask_id uuid not null,
  version integer not null,
  author_id uuid not null,
  text text not null,
  tags text[] not null default '{}',
  created_at timestamptz(3) not null default now(),
  edited_at timestamptz(3),
  constraint evaluations_pkey primary key (id),
  constraint evaluations_subtask_fkey foreign key (task_id, subtask_id)
    references subtasks (parent_task_id, id) on delete cascade,
  constraint evaluations_text_length check (length(text) between 1 and 4000)
);
-- What was said of a cell, oldest first.
create index evaluations_cell_idx on evaluations (task_id, subtask_id, created_at, id);

-- Two images side by side, and which was better.
create table votes (
  id bigint generated always as identity,
  task_id uuid not null,
  left_id uuid not null,
  left_version integer not null,
  right_id uuid not null,
  right_version integer not null,
  outcome text not null,
  rater_id uuid not null,
  blind boolean not null default false,
  took_ms integer,
  created_at timestamptz(3) not null default now(),
  constraint votes_pkey primary key (id),
  constraint votes_left_fkey foreign key (task_id, left_id) references subtasks (parent_task_id, id) on delete cascade,
  constraint votes_right_fkey foreign key (task_id, right_id)
    references subtasks (parent_task_id, id) on delete cascade,
  constraint votes_two_cells check (left_id <> right_id),
  constraint votes_outcome_known check (outcome in ('left', 'right', 'tie', 'skip')),
  constraint votes_took_ms_range check (took_ms between 0 and 86400000)
);
-- All votes of a task, for its ranking; a rater's pairs, so that none is asked twice.
create index votes_task_idx on votes (task_id, rater_id);

-- Cells that somebody was just given to rate: others are given others first.
create table reservations (
  task_id uuid not null,
  subtask_id uuid not null,
  rater_id uuid not null,
  until timestamptz(3) not null,
  constraint reservations_pkey primary key (task_id, subtask_id, rater_id),
  constraint reservations_subtask_fkey foreign key (task_id, subtask_id)
    references subtasks (parent_task_id, id) on delete cascade
);

-- A person's favourites.
create table favourites (
  task_id uuid not null,
  subtask_id uuid not null,
  user_id uuid not null,
  created_at timestamptz(3) not null default now(),
  constraint favourites_pkey primary key (task_id, subtask_id, user_id),
  constraint favourites_user_fkey foreign key (user_id) references users (id) on delete cascade,
  constraint favourites_subtask_fkey foreign key (task_id, subtask_id)
    references subtasks (parent_task_id, id) on delete cascade
);

-- Words that people put on cells.
create table cell_tags (
  task_id uuid not null,
  subtask_id uuid not null,
  tag text not null,
  author_id uuid not null,
  created_at timestamptz(3) not null default now(),
  constraint cell_tags_pkey primary key (task_id, subtask_id, tag),
  constraint cell_tags_subtask_fkey foreign key (task_id, subtask_id)
    references subtasks (parent_task_id, id) on delete cascade,
  constraint cell_tags_tag_length check (length(tag) between 1 and 100)
);
