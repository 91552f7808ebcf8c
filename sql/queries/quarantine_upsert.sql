insert into market.quarantine as q (
    symbol, session, open, high, low, close, volume, reason, first_ingest_id, last_ingest_id
)
select distinct symbol, session::date, open, high, low, close, volume, reason, %(ingest_id)s, %(ingest_id)s
from incoming_quarantine
on conflict (symbol, session, open, high, low, close, volume, reason)
do update set
    first_ingest_id = least(q.first_ingest_id, excluded.first_ingest_id),
    last_ingest_id = greatest(q.last_ingest_id, excluded.last_ingest_id);
