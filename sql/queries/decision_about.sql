-- The last word on a pair; a pair may be looked at several times.
select *
from lifecycle.decisions
where domain = %(domain)s
    and target = %(target)s
    and candidate_version = %(candidate_version)s
    and champion_version is not distinct from %(champion_version)s
    and door <> 'by_hand'
order by look desc
limit 1;
