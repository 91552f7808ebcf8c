-- The latest delivery of one attempt, whatever became of it.
select * from market.ingest_runs where attempt = %(attempt)s order by ingest_id desc limit 1;
