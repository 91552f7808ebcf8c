-- The last accepted night, or the one of `as_of`, with all that is known by now: releases and backfills come beside nights.
select
    n.as_of,
    (select max(r.known_at) from market.ingest_runs r where r.domain = n.domain and r.status = 'accepted') as known_at
from market.ingest_runs n
where n.domain = %(domain)s
    and n.kind = 'night'
    and n.status = 'accepted'
    and (%(as_of)s::timestamptz is null or n.as_of = %(as_of)s)
order by n.as_of desc
limit 1;
