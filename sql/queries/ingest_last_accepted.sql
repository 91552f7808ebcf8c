-- The last accepted night, or the one of `as_of`, with all that is known by now: releases and backfills come beside
-- nights. What another night brought is that night's own.
select n.as_of, max(r.known_at) as known_at
from market.ingest_runs n
join market.ingest_runs r
    on r.domain = n.domain and r.status = 'accepted' and (r.kind <> 'night' or r.as_of = n.as_of)
where n.domain = %(domain)s
    and n.kind = 'night'
    and n.status = 'accepted'
    and (%(as_of)s::timestamptz is null or n.as_of = %(as_of)s)
group by n.as_of
order by n.as_of desc
limit 1;
