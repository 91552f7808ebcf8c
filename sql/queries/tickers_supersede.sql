-- What the reference does not repeat of what it speaks of is believed no longer. A ticker of which it says nothing stays
-- an instrument of its own.
update market.tickers t
set superseded_at = %(known_at)s
from market.symbols s
where s.symbol_id = t.symbol_id
    and t.superseded_at is null
    and (
        s.symbol in (select symbol from incoming_reference)
        or %(speaks_of)s = 'all'
            and exists (
                select 1 from market.instruments n where n.instrument_id = t.instrument_id and n.vendor_id is not null
            )
    )
    and (
        %(speaks_of)s <> 'intervals'
        or exists (
            select 1
            from incoming_reference i
            where i.symbol = s.symbol
                and coalesce(i.valid_from::date, '-infinity') < t.valid_to
                and coalesce(i.valid_to::date, 'infinity') > t.valid_from
        )
    )
    and not exists (
        select 1
        from incoming_reference i
        join market.instruments n on n.vendor_id = i.instrument
        where i.symbol = s.symbol
            and n.instrument_id = t.instrument_id
            and coalesce(i.valid_from::date, '-infinity') = t.valid_from
            and coalesce(i.valid_to::date, 'infinity') = t.valid_to
            and i.sector is not distinct from t.sector
    );
