-- Whether anything is believed that a reference said.
select 1
from market.tickers t
join market.instruments i using (instrument_id)
where t.superseded_at is null and i.vendor_id is not null
limit 1;
