-- Refused rows get a number, and a reviewer's word on them is kept: who said what, when and why.

alter table market.quarantine add column if not exists quarantine_id bigint generated always as identity;
create unique index if not exists quarantine_by_id on market.quarantine (quarantine_id);

-- Every verdict ever given; the last one on a row holds. `ingest_id` is the delivery that took a released row in.
create table if not exists market.quarantine_reviews (
    review_id bigint generated always as identity primary key,
    quarantine_id bigint not null references market.quarantine (quarantine_id),
    verdict text not null check (verdict in ('release', 'reject')),
    reviewed_by text not null,
    why text not null check (why <> ''),
    reviewed_at timestamptz not null default clock_timestamp(),
    ingest_id bigint references market.ingest_runs
);
create index if not exists quarantine_reviews_by_row on market.quarantine_reviews (quarantine_id, review_id desc);
