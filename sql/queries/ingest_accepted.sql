-- The delivery of one attempt that was taken in.
select * from market.ingest_runs where attempt = %(attempt)s and status = 'accepted' order by ingest_id desc limit 1;
