-- The refused rows that one delivery brought, open ones first; `total` counts those beyond the limit too.
with run as (
    select window_start, window_end, symbols from serving.ingest_runs where ingest_id = %(ingest_id)s
)
select
    q.quarantine_id, q.symbol, q.session, q.open, q.high, q.low, q.close, q.volume, q.reason,
    q.state, q.reviewed_by, q.reviewed_at, q.why, q.taken_in_by, count(*) over () as total
from serving.quarantine q
cross join run r
where q.first_ingest_id = %(ingest_id)s
    or q.last_ingest_id = %(ingest_id)s
    or (
        %(ingest_id)s between q.first_ingest_id and q.last_ingest_id
        and (q.session is null or q.session between r.window_start and r.window_end)
        and (q.symbol is null or r.symbols is null or q.symbol = any(r.symbols))
    )
order by array_position(array['open', 'released', 'rejected'], q.state), q.session desc nulls last, q.symbol, q.quarantine_id
limit %(rows)s;
