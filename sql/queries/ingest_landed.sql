update market.ingest_runs r
set
    status = 'landed',
    received_digest = %(digest)s,
    received_rows = (select coalesce(sum(p.received_rows), 0) from market.landed_parts p where p.ingest_id = r.ingest_id)
where r.ingest_id = %(ingest_id)s and r.status = 'landing';
