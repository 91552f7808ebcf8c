-- The digest settles what is computed; the words about it may be bettered at any time.
insert into market.feature_definitions (
    feature_set_digest, position, feature_set, feature_set_version, name, category, description, formula, inputs,
    lookback, unit, valid_low, valid_high, nan_policy, is_cross_sectional, source
)
select
    feature_set_digest, position, feature_set, feature_set_version, name, category, description, formula, inputs,
    lookback, unit, valid_low, valid_high, nan_policy, is_cross_sectional, source
from jsonb_to_recordset(%(definitions)s) as told (
    feature_set_digest text,
    position integer,
    feature_set text,
    feature_set_version integer,
    name text,
    category text,
    description text,
    formula text,
    inputs text[],
    lookback integer,
    unit text,
    valid_low double precision,
    valid_high double precision,
    nan_policy text,
    is_cross_sectional boolean,
    source text
)
on conflict (feature_set_digest, position) do update set
    category = excluded.category,
    description = excluded.description,
    formula = excluded.formula,
    unit = excluded.unit,
    valid_low = excluded.valid_low,
    valid_high = excluded.valid_high,
    nan_policy = excluded.nan_policy,
    source = excluded.source
where (
    feature_definitions.category, feature_definitions.description, feature_definitions.formula,
    feature_definitions.unit, feature_definitions.valid_low, feature_definitions.valid_high,
    feature_definitions.nan_policy, feature_definitions.source
) is distinct from (
    excluded.category, excluded.description, excluded.formula, excluded.unit, excluded.valid_low,
    excluded.valid_high, excluded.nan_policy, excluded.source
);
