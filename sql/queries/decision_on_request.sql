select *
from lifecycle.decisions
where domain = %(domain)s and target = %(target)s and door = 'by_hand' and evidence ->> 'request' = %(request)s;
