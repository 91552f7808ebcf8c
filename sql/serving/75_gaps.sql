-- The exchange's sessions, as far as they were written.
create or replace view serving.sessions as
select calendar, session, opens_at, closes_at, is_early_close
from market.sessions;

-- Days without a session, as far as sessions were written: `holiday` on a day of the week on which the calendar held
-- sessions in most weeks of that year, else `weekend`.
create or replace view serving.days_off as
with spans as (
    select calendar, min(session) as first, max(session) as last from market.sessions group by calendar
),
days as (
    select
        p.calendar,
        d.day::date as day,
        s.session,
        count(s.session) over of_week * 2 > count(*) over of_week as trades
    from spans p
    cross join lateral generate_series(p.first::timestamp, p.last::timestamp, interval '1 day') d (day)
    left join market.sessions s on s.calendar = p.calendar and s.session = d.day::date
    window of_week as (partition by p.calendar, extract(isoyear from d.day), extract(isodow from d.day))
)
select calendar, day, case when trades then 'holiday' else 'weekend' end as kind
from days
where session is null;

-- The closes at which the market stood still: fewer than a tenth of at least five tickers between their first and their
-- last bar have one.
create or replace view market.standstills as
with changes as (
    select ts, count(*) as bars, 0 as begin, 0 as finish
    from market.bars
    where timeframe = '1d'
    group by ts
    union all
    select u.ts, 0, u.begin, u.finish
    from (select min(ts) as first, max(ts) as last from market.bars where timeframe = '1d' group by symbol_id) life
    cross join lateral (values (life.first, 1, 0), (life.last, 0, 1)) u (ts, begin, finish)
    union all
    select closes_at, 0, 0, 0
    from market.sessions
),
closes as (
    select ts, sum(bars) as bars, sum(begin) as begin, sum(finish) as finish from changes group by ts
),
expected as (
    select ts, bars, sum(begin) over (order by ts) - (sum(finish) over (order by ts) - finish) as tickers from closes
)
select ts as closes_at
from expected
where tickers >= 5 and bars * 10 < tickers;

-- Every session between two daily bars of a symbol on which it has none, of the calendars at whose closes it trades:
-- `halt` where the source sent a row without trading, `market` where nearly nobody has a bar, else `missing`. Holidays
-- and weekends are no sessions: serving.days_off.
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
            -- The first two reach into the index, the next two are exact.
            and b.ts >= n.valid_from::timestamp at time zone 'UTC' - interval '1 day'
            and b.ts <= least(n.valid_to::timestamp at time zone 'UTC', n.as_of)
            and market.session_of(b.ts) >= n.valid_from
            and market.session_of(b.ts) < n.valid_to
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
        -- Found once, and only for a reader of gaps that are no halts: it reads every bar.
        when x.closes_at in (select closes_at from market.standstills) then 'market'
        else 'missing'
    end as kind
from bars b
join market.sessions x on x.closes_at > b.ts_before and x.closes_at < b.ts
where exists (select from market.sessions own where own.calendar = x.calendar and own.closes_at = b.ts);
