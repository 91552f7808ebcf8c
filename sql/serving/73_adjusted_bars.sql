create or replace aggregate market.product(double precision) (
    sfunc = float8mul, stype = double precision, initcond = '1', parallel = safe
);

-- Daily bars by label, each with what adjustment multiplies it by: `split_factor` and `total_factor` are 1 on the last
-- bar, so the last price stays as it was traded. A bar's factor is the product of 1 / (shares + cash / close) over the
-- later bars: what one share became and was paid between the bar before and that one. (ml/equity/adjustment.py)
-- As believed at afterbell.known_at, up to afterbell.as_of; without them, now.
create or replace view market.factors as
with bars as (
    -- Without a condition of their own, so that the join below reaches into their indexes.
    select timeframe, symbol_id, ts, open, high, low, close, volume, known_at, null::timestamptz as superseded_at
    from market.bars
    union all
    select timeframe, symbol_id, ts, open, high, low, close, volume, known_at, superseded_at
    from market.bar_revisions
),
named_bars as (
    select
        n.label as symbol,
        n.instrument_id,
        market.session_of(b.ts) as day,
        b.ts,
        b.open,
        b.high,
        b.low,
        b.close,
        b.volume,
        lag(b.close) over (partition by n.label order by b.ts) as close_before
    from market.names n
    join bars b
        on b.timeframe = '1d'
            and b.symbol_id = n.symbol_id
            -- The first two reach into the index, the next two are exact.
            and b.ts >= n.valid_from::timestamp at time zone 'UTC' - interval '1 day'
            and b.ts <= least(n.valid_to::timestamp at time zone 'UTC', n.as_of)
            and market.session_of(b.ts) >= n.valid_from
            and market.session_of(b.ts) < n.valid_to
            and b.known_at <= n.known_at
            and coalesce(b.superseded_at > n.known_at, true)
),
named_actions as (
    select n.label as symbol, a.ex_date as day, a.kind, a.value
    from market.names n
    join market.actions a
        on a.symbol = n.symbol
            and a.ex_date >= n.valid_from
            and a.ex_date < n.valid_to
            and a.known_at <= n.known_at
            and coalesce(a.superseded_at > n.known_at, true)
    where a.value > 0 and a.value < 'infinity'
    union all
    -- On the day of a rename an action may still be told under the old ticker.
    select n.label, a.ex_date, a.kind, a.value
    from market.names n
    join market.tickers o
        on o.instrument_id = n.instrument_id
            and o.valid_to >= n.valid_from
            and o.valid_to < n.valid_to
            and o.valid_from <= market.session_of(n.as_of)
            and o.known_at <= n.known_at
            and coalesce(o.superseded_at > n.known_at, true)
    join market.symbols s on s.symbol_id = o.symbol_id
    join market.actions a
        on a.symbol = s.symbol
            and a.ex_date = o.valid_to
            and a.known_at <= n.known_at
            and coalesce(a.superseded_at > n.known_at, true)
    where a.value > 0
        and a.value < 'infinity'
        and not exists (
            select from market.tickers p
            where p.symbol_id = o.symbol_id
                and p.valid_from <= a.ex_date
                and p.valid_to > a.ex_date
                and p.valid_from <= market.session_of(n.as_of)
                and p.known_at <= n.known_at
                and coalesce(p.superseded_at > n.known_at, true)
        )
        and not exists (
            select from market.actions b
            where b.symbol = n.symbol
                and b.ex_date = a.ex_date
                and b.kind = a.kind
                and b.known_at <= n.known_at
                and coalesce(b.superseded_at > n.known_at, true)
        )
),
timeline as (
    select symbol, day, instrument_id, ts, open, high, low, close, volume, close_before, null as kind, null::float8 as value
    from named_bars
    union all
    select symbol, day, null, null, null, null, null, null, null, null, kind, value
    from named_actions
),
placed as (
    -- An action belongs to the first bar on or after its ex_date.
    select
        *,
        (ts is null)::int + count(ts) over (
            partition by symbol order by day, ts nulls first rows between unbounded preceding and current row
        ) as bar
    from timeline
),
beside as (
    select
        *,
        max(close_before) over whole_bar as last_close,
        max(close) over whole_bar as own_close
    from placed
    window whole_bar as (partition by symbol, bar)
),
repeating as (
    -- An equal split of at most five bars before, if the price moved since as by one of them rather than by both.
    select
        *,
        coalesce(
            kind = 'split'
                and bar - lag(bar) over equal <= 5
                and ln(own_close / lag(last_close) over equal) * ln(value) > -1.5 * ln(value) ^ 2,
            false
        ) as recorded_twice
    from beside
    window equal as (partition by symbol, kind, value order by day)
),
paid as (
    -- Per share of the bar before: a payment counts for what that share had become by the evening before its ex_date.
    select
        *,
        value * market.product(value) filter (where kind = 'split') over (
            partition by symbol, bar order by day groups between unbounded preceding and 1 preceding
        ) as paid
    from repeating
    where not recorded_twice
),
effects as (
    select
        *,
        market.product(value) filter (where kind = 'split') over whole_bar as shares,
        coalesce(sum(paid) filter (where kind <> 'split' and paid < last_close) over whole_bar, 0) as cash
    from paid
    window whole_bar as (partition by symbol, bar)
),
steps as (
    select
        symbol, instrument_id, ts, open, high, low, close, volume, shares,
        shares + case when cash < last_close then cash / close else 0 end as growth
    from effects
    where ts is not null
)
select
    symbol, instrument_id, ts, open, high, low, close, volume,
    1 / market.product(shares) over later as split_factor,
    1 / market.product(growth) over later as total_factor
from steps
window later as (partition by symbol order by ts desc rows between unbounded preceding and 1 preceding);

-- Daily bars in shares as they are now; payments still show as falls. As believed now.
create or replace view serving.bars_split_adjusted as
select
    symbol,
    instrument_id,
    ts,
    open * split_factor as open,
    high * split_factor as high,
    low * split_factor as low,
    close * split_factor as close,
    volume / split_factor as volume,
    close as raw_close
from market.factors;

-- Daily bars whose returns are those of a holder who puts every payment into shares; the last price stays. As believed now.
create or replace view serving.bars_total_return as
select
    symbol,
    instrument_id,
    ts,
    open * total_factor as open,
    high * total_factor as high,
    low * total_factor as low,
    close * total_factor as close,
    volume / split_factor as volume,
    close as raw_close
from market.factors;

-- One symbol's daily bars up to `as_of` as they were believed at `known_at`, adjusted (none, splits, total_return) so
-- that the last price stays as it was traded.
create or replace function serving.adjusted_bars(
    symbol text, adjustment text default 'total_return', as_of timestamptz default now(), known_at timestamptz default now()
)
returns table (
    ts timestamptz,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision,
    raw_close double precision
)
language plpgsql
security definer
set search_path = ''
as $$
#variable_conflict use_column
declare
    -- Set back at the end: what is read next in this transaction is as of now again.
    as_of_outside text := coalesce(current_setting('afterbell.as_of', true), '');
    known_at_outside text := coalesce(current_setting('afterbell.known_at', true), '');
begin
    if adjusted_bars.adjustment not in ('none', 'splits', 'total_return') or adjusted_bars.adjustment is null then
        raise exception 'Found the adjustment %; expected none, splits or total_return', quote_nullable(adjustment)
            using errcode = 'invalid_parameter_value';
    end if;
    perform set_config('afterbell.as_of', adjusted_bars.as_of::text, true);
    perform set_config('afterbell.known_at', adjusted_bars.known_at::text, true);
    return query
    select
        f.ts,
        f.open * p.factor,
        f.high * p.factor,
        f.low * p.factor,
        f.close * p.factor,
        case when adjusted_bars.adjustment = 'none' then f.volume else f.volume / f.split_factor end,
        f.close
    from market.factors f
    cross join lateral (
        select
            case adjusted_bars.adjustment when 'none' then 1 when 'splits' then f.split_factor else f.total_factor end
                as factor
    ) p
    where f.symbol = adjusted_bars.symbol
    order by f.ts;
    perform set_config('afterbell.as_of', as_of_outside, true);
    perform set_config('afterbell.known_at', known_at_outside, true);
end
$$;
