-- A person may decide as the gate does. The same pair of versions can come up again by hand, a look of the gate cannot.
alter table lifecycle.decisions drop constraint if exists decisions_door_check;
alter table lifecycle.decisions
    add constraint decisions_door_check check (door in ('first', 'replace', 'refresh', 'by_hand'));
alter table lifecycle.decisions
    drop constraint if exists decisions_domain_target_candidate_version_champion_version_key;
create unique index if not exists decisions_one_look
    on lifecycle.decisions (domain, target, candidate_version, champion_version) nulls not distinct
    where door <> 'by_hand';

-- While a target is frozen, the gate's word does not move its champion. What holds is the last row of a target.
create table if not exists lifecycle.freezes (
    freeze_id bigint generated always as identity primary key,
    domain text not null,
    target text not null,
    is_frozen boolean not null,
    decided_by text not null,
    why text not null,
    decided_at timestamptz not null default now()
);
create index if not exists freezes_by_target on lifecycle.freezes (domain, target, freeze_id desc);
