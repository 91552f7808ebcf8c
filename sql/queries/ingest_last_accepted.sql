select as_of, known_at
from market.ingest_runs
where domain = %(domain)s
    and kind = 'night'
    and status = 'accepted'
    and (%(as_of)s::timestamptz is null or as_of = %(as_of)s)
order by as_of desc, known_at desc
limit 1;
