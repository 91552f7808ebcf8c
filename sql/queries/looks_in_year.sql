select count(*) as looks
from lifecycle.decisions
where domain = %(domain)s
    and target = %(target)s
    and alpha_spent > 0
    and as_of > %(as_of)s::timestamptz - interval '1 year'
    and as_of <= %(as_of)s;
