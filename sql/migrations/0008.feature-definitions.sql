-- What each column of a feature set means, for every set that a night was computed with. Models name theirs by its digest.
create table if not exists market.feature_definitions (
    feature_set_digest text not null,
    position integer not null check (position >= 1), -- among the columns of the set
    feature_set text not null,
    feature_set_version integer not null,
    name text not null,
    category text not null,
    description text not null,
    formula text not null,
    inputs text[] not null,
    lookback integer not null check (lookback >= 1),
    unit text not null,
    valid_low double precision,
    valid_high double precision,
    nan_policy text not null,
    is_cross_sectional boolean not null,
    source text not null,
    first_used_at timestamptz not null default clock_timestamp(),
    primary key (feature_set_digest, position),
    unique (feature_set_digest, name)
);
