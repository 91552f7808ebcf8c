select part, store_key, received_rows, digest from market.landed_parts where ingest_id = %(ingest_id)s order by part;
