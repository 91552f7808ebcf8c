-- What each ticker is called on each day: the label of the instrument behind it. Of one instrument the label is its
-- last ticker, with the month of its last day under it where another owner took the ticker over (and with the day where
-- two left it in one month). On days on which a ticker had no owner it is TICKER-unowned; a ticker of which nothing is
-- known is its own label. As believed at afterbell.known_at and named as of afterbell.as_of; without them, now.
-- Every branch can be asked for one label without looking at the other tickers' names. (ml/equity/identity.py)
create or replace view market.names as
with night as (
    select
        coalesce(nullif(current_setting('afterbell.as_of', true), ''), 'infinity')::timestamptz as as_of,
        coalesce(nullif(current_setting('afterbell.known_at', true), ''), 'infinity')::timestamptz as known_at
),
owned as not materialized (
    select t.symbol_id, t.instrument_id, t.valid_from, t.valid_to, n.as_of, n.known_at
    from market.tickers t, night n
    where t.known_at <= n.known_at
        and coalesce(t.superseded_at > n.known_at, true)
        and t.valid_from <= market.session_of(n.as_of)
),
last_names as not materialized (
    select l.*, s.symbol
    from owned l
    join market.symbols s using (symbol_id)
    where not exists (
        select from owned o
        where o.instrument_id = l.instrument_id
            and (
                o.valid_from > l.valid_from
                or o.valid_from = l.valid_from and o.valid_to > l.valid_to
                or o.valid_from = l.valid_from
                    and o.valid_to = l.valid_to
                    and (select x.symbol from market.symbols x where x.symbol_id = o.symbol_id) > s.symbol collate "C"
            )
    )
),
labels as not materialized (
    select l.instrument_id, l.symbol as label
    from last_names l
    where not exists (select from owned o where o.symbol_id = l.symbol_id and o.valid_from > l.valid_from)
    union all
    select
        l.instrument_id,
        l.symbol || case
            when exists (
                select from owned o
                where o.symbol_id = l.symbol_id
                    and o.valid_from <> l.valid_from
                    and o.valid_to < 'infinity'
                    and date_trunc('month', o.valid_to - 1) = date_trunc('month', l.valid_to - 1)
            ) then to_char(l.valid_to - 1, '-YYYYMMDD')
            else to_char(l.valid_to - 1, '-YYYYMM')
        end
    from last_names l
    where l.valid_to < 'infinity'
        and exists (select from owned o where o.symbol_id = l.symbol_id and o.valid_from > l.valid_from)
)
select o.symbol_id, s.symbol, o.valid_from, o.valid_to, o.instrument_id, l.label, o.as_of, o.known_at
from labels l
join owned o using (instrument_id)
join market.symbols s using (symbol_id)
union all
-- before an owner
select o.symbol_id, s.symbol, f.free_from, o.valid_from, null, s.symbol || '-unowned', o.as_of, o.known_at
from owned o
join market.symbols s using (symbol_id)
cross join lateral (
    select coalesce(max(p.valid_to), '-infinity') as free_from
    from owned p
    where p.symbol_id = o.symbol_id and p.valid_from < o.valid_from
) f
where o.valid_from > '-infinity' and f.free_from < o.valid_from
union all
-- after the last owner
select o.symbol_id, s.symbol, o.valid_to, 'infinity', null, s.symbol || '-unowned', o.as_of, o.known_at
from owned o
join market.symbols s using (symbol_id)
where o.valid_to < 'infinity'
    and not exists (select from owned p where p.symbol_id = o.symbol_id and p.valid_from > o.valid_from)
union all
select s.symbol_id, s.symbol, '-infinity', 'infinity', null, s.symbol, n.as_of, n.known_at
from market.symbols s, night n
where not exists (select from owned o where o.symbol_id = s.symbol_id);

-- Every ticker with the instrument behind it, from `valid_from` until before `valid_to`, as it is believed now.
create or replace view serving.tickers as
select n.symbol, n.instrument_id, n.label, n.valid_from, n.valid_to, t.sector
from market.names n
join market.tickers t
    on t.symbol_id = n.symbol_id
        and t.valid_from = n.valid_from
        and t.known_at <= n.known_at
        and coalesce(t.superseded_at > n.known_at, true)
where n.instrument_id is not null;

-- What the source says of each instrument, as it is believed now; `symbol` is the label of its bars.
create or replace view serving.instruments as
select
    i.instrument_id,
    i.vendor_id,
    n.label as symbol,
    f.name,
    f.type,
    f.exchange,
    f.sector,
    f.listed,
    f.delisted,
    f.known_at
from market.instruments i
left join (select distinct instrument_id, label from market.names where instrument_id is not null) n using (instrument_id)
left join market.instrument_facts f on f.instrument_id = i.instrument_id and f.superseded_at is null;
