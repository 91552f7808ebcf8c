-- The symbols with a bar in a session or in the one before; active: not known to be nobody's ticker by now.
select
    s.symbol,
    bool_or(b.ts = %(as_of)s) as tonight,
    bool_or(b.ts = %(before)s) as before,
    not exists (select 1 from market.tickers t where t.symbol_id = s.symbol_id and t.superseded_at is null)
    or exists (
        select 1
        from market.tickers t
        where t.symbol_id = s.symbol_id
            and t.superseded_at is null
            and %(session)s >= t.valid_from
            and %(session)s < t.valid_to
    ) as active
from market.bars b
join market.symbols s using (symbol_id)
where b.timeframe = '1d' and b.ts in (%(before)s, %(as_of)s)
group by s.symbol_id, s.symbol;
