insert into market.quarantine (
    symbol, session, open, high, low, close, volume, reason, first_ingest_id, last_ingest_id
)
select distinct symbol, session::date, open, high, low, close, volume, reason, %(ingest_id)s, %(ingest_id)s
from incoming_quarantine
on conflict (symbol, session, open, high, low, close, volume, reason)
do update set last_ingest_id = excluded.last_ingest_id;
