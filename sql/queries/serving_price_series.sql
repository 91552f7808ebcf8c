-- The last sessions of one symbol, and the same prices in shares as they are after the last of them.
with recent as (
    select ts, serving.session_of(ts) as session, open, high, low, close, volume
    from serving.bars
    where timeframe = '1d' and symbol = %(symbol)s
    order by ts desc
    limit %(sessions)s
),
splits as (
    select ex_date, value
    from serving.actions
    where symbol = %(symbol)s and kind = 'split' and value > 0 and ex_date <= (select max(session) from recent)
),
factors as (
    select r.session, coalesce(exp(sum(ln(s.value))), 1) as split_factor
    from recent r
    left join splits s on s.ex_date > r.session
    group by r.session
)
select
    r.ts, r.session, r.open, r.high, r.low, r.close, r.volume,
    f.split_factor,
    r.close / f.split_factor as adjusted_close
from recent r
join factors f using (session)
order by r.ts;
