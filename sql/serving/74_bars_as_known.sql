-- Raw bars up to `as_of` as they were believed at `known_at`: what any past night saw.
create or replace function serving.bars_as_known(
    known_at timestamptz default now(), as_of timestamptz default 'infinity', timeframe text default '1d'
)
returns table (
    symbol text,
    ts timestamptz,
    open double precision,
    high double precision,
    low double precision,
    close double precision,
    volume double precision
)
language sql
stable
security definer
set search_path = ''
as $$
    select s.symbol, b.ts, b.open, b.high, b.low, b.close, b.volume
    from market.bars_as_known(bars_as_known.timeframe, bars_as_known.as_of, bars_as_known.known_at) b
    join market.symbols s using (symbol_id)
$$;
