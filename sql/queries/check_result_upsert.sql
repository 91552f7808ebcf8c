insert into market.check_results (
    ingest_id, suite, check_name, column_name, severity, passed, observed, expected, unexpected_rows
)
values (
    %(ingest_id)s, %(suite)s, %(check)s, coalesce(%(column)s, ''), %(severity)s, %(passed)s,
    %(observed)s, %(expected)s, %(unexpected)s
)
on conflict (ingest_id, suite, check_name, column_name) do update set
    severity = excluded.severity,
    passed = excluded.passed,
    observed = excluded.observed,
    expected = excluded.expected,
    unexpected_rows = excluded.unexpected_rows,
    checked_at = excluded.checked_at;
