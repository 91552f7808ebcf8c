-- The features of the newest night of each domain, for readers. The names stand once, beside the night, and each entity
-- has one array of numbers in their order: a whole market is some megabytes, and one feature of it is one number a row.
create table if not exists market.latest_feature_nights (
    domain text primary key,
    as_of timestamptz not null,
    known_at timestamptz not null,
    snapshot_digest text not null,
    feature_set_digest text not null,
    names text[] not null
);

create table if not exists market.latest_features (
    domain text not null references market.latest_feature_nights,
    entity text not null,
    feature_values real[] not null,
    primary key (domain, entity)
);
