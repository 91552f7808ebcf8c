update market.instrument_facts f
set superseded_at = %(known_at)s
from market.instruments n
where n.instrument_id = f.instrument_id
    and f.superseded_at is null
    and (n.vendor_id in (select instrument from incoming_reference) or %(speaks_of)s = 'all')
    and not exists (
        select 1
        from incoming_reference i
        where i.instrument = n.vendor_id
            and (i.name, i.type, i.exchange, i.sector, i.listed::date, i.delisted::date)
            is not distinct from (f.name, f.type, f.exchange, f.sector, f.listed, f.delisted)
    );
