-- The last night that was taken in: released rows join what is known of it.
select domain, provider, as_of
from market.ingest_runs
where domain = %(domain)s and kind = 'night' and status = 'accepted'
order by as_of desc, known_at desc
limit 1;
