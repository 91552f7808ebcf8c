-- What the reference does not repeat of the tickers that it speaks of is believed no longer.
update market.tickers t
set superseded_at = %(known_at)s
from market.symbols s
where s.symbol_id = t.symbol_id
    and t.superseded_at is null
    and s.symbol in (select symbol from incoming_reference)
    and not exists (
        select 1
        from incoming_reference i
        join market.instruments n on n.vendor_id = i.instrument
        where i.symbol = s.symbol
            and n.instrument_id = t.instrument_id
            and coalesce(i.valid_from::date, '-infinity') = t.valid_from
            and coalesce(i.valid_to::date, 'infinity') = t.valid_to
    );
