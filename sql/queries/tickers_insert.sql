insert into market.tickers (symbol_id, instrument_id, valid_from, valid_to, sector, known_at)
select
    s.symbol_id,
    n.instrument_id,
    coalesce(i.valid_from::date, '-infinity'),
    coalesce(i.valid_to::date, 'infinity'),
    i.sector,
    %(known_at)s
from incoming_reference i
join market.symbols s using (symbol)
join market.instruments n on n.vendor_id = i.instrument
where not exists (
    select 1
    from market.tickers t
    where t.symbol_id = s.symbol_id
        and t.valid_from = coalesce(i.valid_from::date, '-infinity')
        and t.superseded_at is null
);
