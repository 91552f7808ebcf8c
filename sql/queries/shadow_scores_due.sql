-- Words of shadows and of challengers in canaries whose outcomes are known and that have no score yet, each with the
-- champion's last word on its night. A version that became champion in its night is not beside one.
-- Versions and nights are looked up one by one in the index: to read all their rows would take seconds.
with finals as (
    select distinct on (as_of) publication_id, as_of
    from lifecycle.publications
    where domain = %(domain)s and as_of between %(since)s and %(as_of)s
    order by as_of, publication_id desc
),
versions as (
    select m.version
    from lifecycle.model_versions m
    where m.domain = %(domain)s
        and m.target = %(target)s
        and exists (
            select
            from lifecycle.shadow_predictions
            where domain = m.domain and target = m.target and model_version = m.version
        )
),
said as (
    select v.version as model_version, s.role, f.publication_id, f.as_of
    from versions v
    cross join finals f
    cross join lateral (
        select role
        from lifecycle.shadow_predictions
        where domain = %(domain)s and target = %(target)s and model_version = v.version and as_of = f.as_of
        limit 1
    ) s
    union all
    select distinct q.model_version, 'canary', f.publication_id, f.as_of
    from lifecycle.predictions q
    join finals f using (publication_id)
    where q.role = 'challenger' and q.domain = %(domain)s and q.target = %(target)s
)
select s.model_version, s.role, s.as_of, s.publication_id, c.model_version as champion_version, c.matures_at
from said s
join lateral (
    select model_version, matures_at
    from lifecycle.predictions
    where publication_id = s.publication_id and target = %(target)s and role = 'champion'
    limit 1
) c on c.model_version <> s.model_version and c.matures_at <= %(as_of)s
where not exists (
    select
    from lifecycle.shadow_scores k
    where k.domain = %(domain)s
        and k.target = %(target)s
        and k.model_version = s.model_version
        and k.role = s.role
        and k.as_of = s.as_of
)
order by s.as_of, s.model_version, s.role;
