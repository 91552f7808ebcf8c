insert into market.landed_parts (ingest_id, part, store_key, received_rows, digest)
values (%(ingest_id)s, %(part)s, %(store_key)s, %(received_rows)s, %(digest)s)
on conflict (ingest_id, part) do nothing;
