select * from market.ingest_runs where attempt = %(attempt)s and status = 'landing';
