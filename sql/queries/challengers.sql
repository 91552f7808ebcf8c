-- Candidates that were looked at beside the recipe that serves, and may be looked at again; the newest last. One that
-- was vetoed is done with.
select candidate_version as version, max(look) as looks, min(as_of) as since, max(as_of) as looked_at
from lifecycle.decisions
where domain = %(domain)s
    and target = %(target)s
    and door = 'replace'
    and look > 0
    and evidence #>> '{champion,digest}' = %(recipe_digest)s
    and candidate_version <> %(champion_version)s
group by candidate_version
having max(look) < %(most_looks)s
    and (%(as_of)s::timestamptz is null or max(as_of) <= %(as_of)s)
    and not bool_or(coalesce((evidence ->> 'vetoed')::boolean, false))
order by candidate_version;
