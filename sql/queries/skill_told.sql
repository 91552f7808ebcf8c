-- What the last decision about a version said of its skill.
select has_skill
from lifecycle.decisions
where domain = %(domain)s and target = %(target)s and candidate_version = %(version)s
order by decision_id desc
limit 1;
