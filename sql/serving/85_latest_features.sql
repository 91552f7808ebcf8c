-- The features of the newest night, one row per symbol and feature; null where a feature has no value.
-- A name becomes a place before any symbol is read, so that `where feature = ...` costs one number a symbol.
create or replace view serving.latest_features as
select
    n.domain,
    f.entity as symbol,
    n.as_of,
    named.feature,
    f.feature_values[named.place::int] as value,
    n.known_at as data_cutoff,
    n.feature_set_digest
from market.latest_feature_nights n
cross join lateral unnest(n.names) with ordinality as named (feature, place)
join market.latest_features f using (domain);
