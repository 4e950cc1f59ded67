-- A verification that was interrupted goes on where it was: each range it compared, with what it found there.

create table migration.verified_ranges (
  verification_id bigint not null,
  collection text not null,
  number integer not null,
  documents integer not null,
  -- Rows compared.
  rows integer not null,
  quarantined integer not null,
  differences integer not null,
  verified_at timestamptz(3) not null default now(),
  constraint verified_ranges_pkey primary key (verification_id, collection, number),
  constraint verified_ranges_verification_id_fkey foreign key (verification_id)
    references migration.verifications (id) on delete cascade
);

-- Digest of what was to be compared: after a repair or a replay it is another, and a verification begins anew.
alter table migration.verifications add column plan text;

alter table migration.differences
  -- In the order they were found.
  add column number bigint generated always as identity,
  -- Who: see `mismatch.ts`. Null where it was found before causes were kept.
  add column cause text;
