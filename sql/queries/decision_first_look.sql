-- What a candidate was first seen with, beside the recipe that serves.
select *
from lifecycle.decisions
where domain = %(domain)s
    and target = %(target)s
    and candidate_version = %(candidate_version)s
    and evidence #>> '{champion,digest}' = %(recipe_digest)s
    and door = 'replace'
    and look = 1
order by decision_id
limit 1;
