-- The rows that a reviewer's choice means and that do not stand as the verdict wants already; null means any.
select quarantine_id, symbol, session as date, open, high, low, close, volume, reason
from serving.quarantine
where state <> %(state)s
    and (%(again)s or state = 'open')
    and (%(symbols)s::text[] is null or symbol = any(%(symbols)s::text[]))
    and (%(first)s::date is null or session >= %(first)s::date)
    and (%(last)s::date is null or session <= %(last)s::date)
    and (%(reason)s::text is null or position(lower(%(reason)s::text) in lower(reason)) > 0)
order by session, symbol, quarantine_id;
