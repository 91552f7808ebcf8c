-- The exchange's sessions, as far as they were written.
create or replace view serving.sessions as
select calendar, session, opens_at, closes_at, is_early_close
from market.sessions;

-- Every session between two daily bars of a symbol on which it has none, of the calendars at whose closes it trades:
-- `halt` where the source sent a row without trading, else `missing`. Holidays and weekends are no sessions.
create or replace view serving.gaps as
with bars as (
    select
        n.label as symbol,
        n.symbol as ticker,
        lag(n.symbol) over of_label as ticker_before,
        b.ts,
        lag(b.ts) over of_label as ts_before
    from market.names n
    join market.bars b
        on b.timeframe = '1d'
            and b.symbol_id = n.symbol_id
            and b.ts > n.valid_from::timestamp at time zone 'UTC'
            and b.ts <= least(n.valid_to::timestamp at time zone 'UTC', n.as_of)
    window of_label as (partition by n.label order by b.ts)
)
select
    b.symbol,
    x.calendar,
    x.session,
    case
        when exists (
            select from market.quarantine q
            where q.symbol in (b.ticker, b.ticker_before)
                and q.session = x.session
                and (q.volume = 0 or greatest(q.open, q.high, q.low, 0) = 0)
        ) then 'halt'
        else 'missing'
    end as kind
from bars b
join market.sessions x on x.closes_at > b.ts_before and x.closes_at < b.ts
where exists (select from market.sessions own where own.calendar = x.calendar and own.closes_at = b.ts);
