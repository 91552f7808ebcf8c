-- Why a version was trained and who asked for it; nobody did where the schedule had it trained.
alter table lifecycle.model_versions
    add column if not exists reason text not null default 'scheduled',
    add column if not exists requested_by text;

-- A retraining that a person asked for. `request` is the run that carried it out.
create table if not exists lifecycle.retrain_requests (
    request text primary key,
    domain text not null,
    horizons text[] not null,
    reason text not null,
    requested_by text not null,
    requested_at timestamptz not null default now()
);

-- A person's word on a decision to promote, the first one given. `decided_by` is null when nobody answered in time.
create table if not exists lifecycle.approvals (
    decision_id bigint primary key references lifecycle.decisions,
    approved boolean not null,
    decided_by text,
    decided_at timestamptz not null,
    note text not null default '',
    check (decided_by is not null or not approved)
);
