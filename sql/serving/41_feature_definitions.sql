-- What each column of a feature set means; models name their set by its digest.
create or replace view serving.feature_definitions as
select
    feature_set,
    feature_set_version,
    feature_set_digest,
    position,
    name,
    category,
    description,
    formula,
    inputs,
    lookback,
    unit,
    valid_low,
    valid_high,
    nan_policy,
    is_cross_sectional,
    source,
    first_used_at
from market.feature_definitions;
