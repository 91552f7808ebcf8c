-- What came of a look at several candidates: the decision that promotes one of them, if any.
select *
from lifecycle.decisions
where domain = %(domain)s
    and target = %(target)s
    and as_of = %(as_of)s
    and champion_version is not distinct from %(champion_version)s
    and door = 'replace'
    and verdict = 'promote';
