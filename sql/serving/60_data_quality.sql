-- Every check of every ingestion, with the counts of its rows.
create or replace view serving.data_quality as
select
    r.ingest_id,
    r.domain,
    r.provider,
    r.as_of,
    r.requested_at,
    r.status,
    r.received_rows,
    r.inserted_rows,
    r.restated_rows,
    r.unchanged_rows,
    r.quarantined_rows,
    c.suite,
    c.check_name,
    c.column_name,
    c.severity,
    c.passed,
    c.observed,
    c.expected,
    c.unexpected_rows,
    c.checked_at,
    r.kind,
    r.attempt
from market.ingest_runs r
left join market.check_results c using (ingest_id);
