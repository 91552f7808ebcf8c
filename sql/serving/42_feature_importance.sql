-- What each trained version looks at: mean |contribution| to the log-odds over the latest rows, the strongest first.
create or replace view serving.feature_importance as
select
    m.domain,
    m.target as horizon,
    m.version as model_version,
    i.rank,
    i.entry ->> 'feature' as feature,
    (i.entry ->> 'importance')::double precision as importance
from lifecycle.model_versions m
cross join lateral jsonb_array_elements(m.importance) with ordinality as i (entry, rank);
