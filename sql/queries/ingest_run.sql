select * from market.ingest_runs where ingest_id = %(ingest_id)s;
