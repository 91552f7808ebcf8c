-- A candidate may be looked at several times: `look` counts them, 0 where none was taken. What the gate said of it
-- before was one look, if it spent anything.
alter table lifecycle.decisions add column if not exists look integer not null default 0 check (look between 0 and 4);
update lifecycle.decisions set look = 1 where look = 0 and alpha_spent > 0;
drop index if exists lifecycle.decisions_one_look;
create unique index decisions_one_look
    on lifecycle.decisions (domain, target, candidate_version, champion_version, look) nulls not distinct
    where door <> 'by_hand';

-- What a model weighs and takes, and how far the choice of its parts may be luck (null: not told).
alter table lifecycle.model_versions
    add column if not exists costs jsonb not null default '{}',
    add column if not exists overfitting double precision;
