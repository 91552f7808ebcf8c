select max(as_of) as tried_at
from lifecycle.decisions
where domain = %(domain)s
    and target = %(target)s
    and door = 'refresh'
    and champion_version = %(champion_version)s
    and as_of < %(before)s;
