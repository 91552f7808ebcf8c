-- How a version did beside champions of one recipe (of all, without one), as known by a night.
select s.as_of, s.difference
from lifecycle.shadow_scores s
join lifecycle.model_versions c on c.domain = s.domain and c.target = s.target and c.version = s.champion_version
where s.domain = %(domain)s
    and s.target = %(target)s
    and s.model_version = %(version)s
    and (s.role = 'canary') = %(in_canary)s
    and (%(recipe_digest)s::text is null or c.recipe_digest = %(recipe_digest)s)
    and (%(until)s::timestamptz is null or s.matures_at <= %(until)s)
order by s.as_of;
