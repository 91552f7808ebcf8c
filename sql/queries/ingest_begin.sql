insert into market.ingest_runs (
    domain, kind, provider, source, as_of, window_start, window_end, symbols, attempt, status
)
values (
    %(domain)s, %(kind)s, %(provider)s, %(source)s, %(as_of)s, %(window_start)s, %(window_end)s, %(symbols)s,
    %(attempt)s, 'landing'
)
on conflict (attempt) where status = 'landing' do nothing;
