with told as (
    select distinct on (i.instrument)
        n.instrument_id, i.name, i.type, i.exchange, i.sector, i.listed::date, i.delisted::date
    from incoming_reference i
    join market.instruments n on n.vendor_id = i.instrument
    order by i.instrument, i.valid_to desc nulls first
)
update market.instrument_facts f
set superseded_at = %(known_at)s
from market.instruments n
where n.instrument_id = f.instrument_id
    and f.superseded_at is null
    and (n.vendor_id in (select instrument from incoming_reference) or %(speaks_of)s = 'all')
    and not exists (
        select 1
        from told t
        where t.instrument_id = f.instrument_id
            and (t.name, t.type, t.exchange, t.sector, t.listed, t.delisted)
            is not distinct from (f.name, f.type, f.exchange, f.sector, f.listed, f.delisted)
    );
