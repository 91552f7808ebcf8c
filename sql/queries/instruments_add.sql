insert into market.instruments (vendor_id)
select distinct instrument from incoming_reference
on conflict (vendor_id) do nothing;
