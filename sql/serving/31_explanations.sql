-- Why each of the latest predictions says what it says: what pushed it up and what pushed it down, the strongest first.
-- A `key` factor speaks for the likelier side, a `risk` factor against it.
create or replace view serving.explanations as
select
    p.domain,
    p.symbol,
    p.horizon,
    p.as_of,
    p.p_up,
    r.rank,
    r.entry ->> 'feature' as feature,
    (r.entry ->> 'effect')::double precision as effect,
    (r.entry ->> 'value')::double precision as feature_value,
    (r.entry ->> 'share_below')::double precision as share_below,
    case when ((r.entry ->> 'effect')::double precision > 0) = (p.p_up >= 0.5) then 'key' else 'risk' end as factor,
    r.entry ->> 'words' as words,
    p.model_version,
    p.has_skill,
    p.data_cutoff,
    p.published_at,
    p.is_stale
from serving.latest_predictions p
cross join lateral jsonb_array_elements(p.reasons) with ordinality as r (entry, rank);
