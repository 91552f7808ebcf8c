update market.ingest_runs
set status = 'failed', quarantined_rows = %(quarantined)s
where ingest_id = %(ingest_id)s;
