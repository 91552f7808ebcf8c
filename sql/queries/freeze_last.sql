select is_frozen, decided_by, why, decided_at
from lifecycle.freezes
where domain = %(domain)s and target = %(target)s
order by freeze_id desc
limit 1;
