-- A ticker of which no reference speaks (any more) is an instrument of its own, always.
with unknown as (
    select s.symbol_id, row_number() over (order by s.symbol_id) as n
    from market.symbols s
    where not exists (
        select 1 from market.tickers t where t.symbol_id = s.symbol_id and t.superseded_at is null
    )
),
made as (
    insert into market.instruments (vendor_id) select null from unknown returning instrument_id
),
numbered as (
    select instrument_id, row_number() over (order by instrument_id) as n from made
)
insert into market.tickers (symbol_id, instrument_id, known_at)
select u.symbol_id, m.instrument_id, %(known_at)s
from unknown u
join numbered m using (n);
