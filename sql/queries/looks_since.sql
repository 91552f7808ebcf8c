-- The nights on which a target was looked at, those after a replayed night included: they have spent their alpha.
select as_of, sum(alpha_spent) as alpha
from lifecycle.decisions
where domain = %(domain)s and target = %(target)s and alpha_spent > 0 and as_of > %(since)s
group by as_of
order by as_of;
