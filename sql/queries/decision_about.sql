select *
from lifecycle.decisions
where domain = %(domain)s
    and target = %(target)s
    and candidate_version = %(candidate_version)s
    and champion_version is not distinct from %(champion_version)s
    and door <> 'by_hand';
