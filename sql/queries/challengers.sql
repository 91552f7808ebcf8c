-- Candidates that were looked at beside the recipe that serves, and may be looked at again; the newest last. One that
-- was vetoed, or that a person refused, is done with.
select d.candidate_version as version, max(d.look) as looks, min(d.as_of) as since, max(d.as_of) as looked_at
from lifecycle.decisions d
left join lifecycle.approvals a using (decision_id)
where d.domain = %(domain)s
    and d.target = %(target)s
    and d.door = 'replace'
    and d.look > 0
    and d.evidence #>> '{champion,digest}' = %(recipe_digest)s
    and d.candidate_version <> %(champion_version)s
group by d.candidate_version
having max(d.look) < %(most_looks)s
    and (%(as_of)s::timestamptz is null or max(d.as_of) <= %(as_of)s)
    and not bool_or(coalesce((d.evidence ->> 'vetoed')::boolean, false))
    and not bool_or(coalesce(not a.approved and a.decided_by is not null, false))
order by d.candidate_version;
