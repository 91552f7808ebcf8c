update market.ingest_runs
set
    status = 'accepted',
    known_at = %(known_at)s,
    inserted_rows = %(inserted)s,
    restated_rows = %(restated)s,
    unchanged_rows = %(unchanged)s,
    quarantined_rows = %(quarantined)s
where ingest_id = %(ingest_id)s;
