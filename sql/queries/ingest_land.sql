insert into market.ingest_runs (
    domain, provider, source, as_of, window_start, window_end, received_rows, landing_key, received_digest
)
values (
    %(domain)s, %(provider)s, %(source)s, %(as_of)s, %(window_start)s, %(window_end)s,
    %(received_rows)s, %(landing_key)s, %(received_digest)s
)
returning ingest_id;
