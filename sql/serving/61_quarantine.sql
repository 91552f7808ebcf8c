-- Rows that were refused, each with its reasons.
create or replace view serving.quarantine as
select q.symbol, q.session, q.open, q.high, q.low, q.close, q.volume, q.reason, r.provider, r.as_of, r.requested_at
from market.quarantine q
join market.ingest_runs r on r.ingest_id = q.last_ingest_id;
