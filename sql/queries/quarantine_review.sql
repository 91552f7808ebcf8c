insert into market.quarantine_reviews (quarantine_id, verdict, reviewed_by, why)
select unnest(%(quarantine_ids)s::bigint[]), %(verdict)s, %(reviewed_by)s, %(why)s;
