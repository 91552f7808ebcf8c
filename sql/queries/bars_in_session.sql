-- Bars of tickers that were somebody's that day: a rename learned late leaves the old ticker's bars behind.
select count(*) as bars
from market.bars b
join market.tickers t
    on t.symbol_id = b.symbol_id
        and t.superseded_at is null
        and market.session_of(b.ts) >= t.valid_from
        and market.session_of(b.ts) < t.valid_to
where b.timeframe = %(timeframe)s and b.ts = %(ts)s;
