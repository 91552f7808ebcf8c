-- Splits and dividends that fall within the last sessions of one symbol.
with recent as (
    select serving.session_of(ts) as session
    from serving.bars
    where timeframe = '1d' and symbol = %(symbol)s
    order by ts desc
    limit %(sessions)s
)
select ex_date, kind, value
from serving.actions
where symbol = %(symbol)s
    and ex_date > (select min(session) from recent)
    and ex_date <= (select max(session) from recent)
order by ex_date, kind;
