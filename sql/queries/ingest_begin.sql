insert into market.ingest_runs (
    domain, kind, provider, source, as_of, window_start, window_end, symbols, attempt, status
)
values (
    %(domain)s, %(kind)s, %(provider)s, %(source)s, %(as_of)s, %(window_start)s, %(window_end)s, %(symbols)s,
    %(attempt)s, 'landing'
)
-- The twin that comes second gets the row of the first; had that one all its parts by then, a row of its own.
on conflict (attempt) where status = 'landing' do update set attempt = excluded.attempt
returning *;
