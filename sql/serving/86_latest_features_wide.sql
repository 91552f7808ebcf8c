-- The same with one row per symbol: all its features in one object, by name.
create or replace view serving.latest_features_wide as
select
    n.domain,
    f.entity as symbol,
    n.as_of,
    (
        select jsonb_object_agg(pair.feature, pair.value)
        from unnest(n.names, f.feature_values) as pair (feature, value)
    ) as features,
    n.known_at as data_cutoff,
    n.feature_set_digest
from market.latest_feature_nights n
join market.latest_features f using (domain);
