-- These releases were carried out by a delivery.
update market.quarantine_reviews
set ingest_id = %(ingest_id)s
where review_id = any(%(review_ids)s::bigint[]) and ingest_id is null;
