-- Of several rows on one instrument the one of its last ticker speaks.
insert into market.instrument_facts (instrument_id, name, type, exchange, sector, listed, delisted, known_at)
select distinct on (n.instrument_id)
    n.instrument_id, i.name, i.type, i.exchange, i.sector, i.listed::date, i.delisted::date, %(known_at)s::timestamptz
from incoming_reference i
join market.instruments n on n.vendor_id = i.instrument
where not exists (
    select 1 from market.instrument_facts f where f.instrument_id = n.instrument_id and f.superseded_at is null
)
order by n.instrument_id, i.valid_to desc nulls first;
