-- The checks of one delivery: what did not pass first, and of that what stops a night.
select
    suite, check_name, nullif(column_name, '') as column_name, severity, passed, observed, expected, unexpected_rows,
    checked_at
from serving.data_quality
where ingest_id = %(ingest_id)s and check_name is not null
order by passed, severity, unexpected_rows desc, suite, check_name, column_name;
