-- Who made a prediction: the champion, or in a canary the challenger beside it.
alter table lifecycle.predictions
    add column if not exists role text not null default 'champion' check (role in ('champion', 'challenger'));
alter table lifecycle.predictions
    drop constraint if exists predictions_pkey,
    add constraint predictions_pkey primary key (publication_id, entity, target, role);
create index if not exists predictions_of_challengers
    on lifecycle.predictions (domain, target, publication_id, model_version)
    where role = 'challenger';

-- What versions that do not serve say of a night. The first word of a version on a night stays.
create table if not exists lifecycle.shadow_predictions (
    domain text not null,
    target text not null,
    model_version bigint not null,
    as_of timestamptz not null,
    entity text not null,
    role text not null check (role in ('challenger', 'previous')),
    p_up double precision not null check (p_up between 0 and 1),
    expected_return double precision not null,
    made_at timestamptz not null default now(),
    primary key (domain, target, model_version, as_of, entity),
    foreign key (domain, target, model_version) references lifecycle.model_versions
);

-- How they did beside the champion of that night, once outcomes are known. Role `canary`: the challenger's rows that
-- were served, on the symbols of its arm alone.
create table if not exists lifecycle.shadow_scores (
    domain text not null,
    target text not null,
    model_version bigint not null,
    role text not null check (role in ('challenger', 'previous', 'canary')),
    as_of timestamptz not null,
    matures_at timestamptz not null,
    champion_version bigint not null,
    n integer not null check (n > 0),
    score double precision not null,
    difference double precision not null,
    scored_at timestamptz not null default now(),
    primary key (domain, target, model_version, role, as_of),
    foreign key (domain, target, model_version) references lifecycle.model_versions,
    foreign key (domain, target, champion_version) references lifecycle.model_versions
);
