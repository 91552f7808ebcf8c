select provider
from market.ingest_runs
where domain = %(domain)s and status = 'accepted' and provider <> %(provider)s
limit 1;
