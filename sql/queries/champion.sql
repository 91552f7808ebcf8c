select
    p.to_version,
    p.from_version,
    p.decision_id,
    p.promoted_at,
    d.has_skill,
    m.recipe,
    m.recipe_digest,
    m.feature_set_digest,
    m.as_of
from lifecycle.promotions p
join lifecycle.decisions d using (decision_id)
join lifecycle.model_versions m on m.domain = p.domain and m.target = p.target and m.version = p.to_version
where p.domain = %(domain)s
    and p.target = %(target)s
    and (%(as_of)s::timestamptz is null or m.as_of <= %(as_of)s)
order by p.promotion_id desc
limit 1;
